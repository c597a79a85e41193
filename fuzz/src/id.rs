//! Ids and times: one text each, which is read back as the same.

use std::fmt::{Debug, Display};

use sale::id::{BatchId, BuyerId, InstallId, RequestId, RoundId, SaleId, TicketId};
use sale::time::Timestamp;
use sale::units::Units;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    canonical(text, TicketId::parse);
    canonical(text, BatchId::parse);
    canonical(text, InstallId::parse);
    canonical(text, RoundId::parse);
    canonical(text, SaleId::new);
    canonical(text, BuyerId::new);
    canonical(text, RequestId::new);
    if let Ok(at) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        assert_eq!(Timestamp::from_millis(at.millis()), Ok(at));
    }
    if let Some(Ok(at)) = text.parse().ok().map(Timestamp::from_millis) {
        assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
    }
    if let Ok(id) = TicketId::parse(text) {
        assert!((TicketId::first_of(id.round())..=TicketId::last_of(id.round())).contains(&id));
    }
    in_json::<Timestamp>(text);
    in_json::<RoundId>(text);
    in_json::<TicketId>(text);
    in_json::<Units>(text);
}

fn canonical<T: Display, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) {
    if let Ok(read) = parse(text) {
        assert_eq!(read.to_string(), text);
    }
}

fn in_json<T>(text: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    if let Ok(read) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&read).expect("it is JSON");
        assert_eq!(serde_json::from_str::<T>(&written).expect("it is read"), read);
    }
}
