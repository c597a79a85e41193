use metrics_exporter_prometheus::PrometheusBuilder;
use sale::id::{BatchId, BuyerId, InstallId, TicketId};
use sale::order::OrderV1;
use sale::time::Timestamp;
use sale::units::Units;
use store::gate::local::LocalGate;
use store::log::local::LocalLog;

use super::*;

fn batch(n: u32) -> Arc<Batch> {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&n.to_be_bytes());
    let order = OrderV1 {
        ticket: TicketId(id),
        buyer: BuyerId::new("ada").unwrap(),
        units: Units::ONE,
        granted_at: Timestamp::from_millis(0).unwrap(),
        incarnation: 1,
    };
    Arc::new(Batch::new(InstallId([1; 16]), BatchId(id), 1, vec![order]).unwrap())
}

#[tokio::test]
async fn at_the_end_a_log_that_takes_nothing_is_not_asked_for_every_batch() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let log = Log::Local(LocalLog::new());
    let mut full = 0;
    while log.publish(batch(full)).await.is_ok() {
        full += 1;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.db");
    let gate = LocalGate::open(&file, InstallId([1; 16]), Default::default()).await;
    let gate = Gate::Local(gate.unwrap());
    let outlet = Outlet { log, within: Duration::from_secs(60), gate };
    let (publisher, waiting) = Publisher::new(1000);
    (0..1000).for_each(|n| publisher.hand_over(batch(n)));
    let end = CancellationToken::new();
    end.cancel();

    run(outlet, waiting, 8, end).await;

    let page = recorder.handle().render();
    let asked = page
        .lines()
        .find_map(|line| line.strip_prefix("dibs_api_publish_seconds_count{result=\"full\"} "))
        .unwrap();
    assert!(asked.parse::<u32>().unwrap() <= 16, "{asked}");
}
