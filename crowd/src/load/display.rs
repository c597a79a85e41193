//! What is shown while a load runs.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::progress::{Progress, Standing};

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

const TEMPLATE: &str = "{elapsed_precise} [{bar:32}] {pos}/{len} buyers  {msg}";

/// A bar that fills as buyers are done. Where there is no terminal, nothing is shown.
pub(super) async fn show(buyers: usize, progress: &Progress) -> Infallible {
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well-formed");
    let bar = Drawn(ProgressBar::new(buyers as u64).with_style(style.progress_chars("━╸ ")));
    loop {
        let Standing { shed, ended, granted, refused, finals, errors, due } = progress.standing();
        bar.0.set_position(ended + shed);
        bar.0.set_message(format!(
            "{due} due, {granted} granted, {refused} refused, {finals} final, {errors} errors"
        ));
        tokio::time::sleep(EVERY).await;
    }
}

/// Shows that something is waited for, until it is dropped.
pub(super) fn waiting(what: &'static str) -> Drawn {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(EVERY);
    Drawn(spinner)
}

/// Cleared when it is dropped.
pub(super) struct Drawn(ProgressBar);

impl Drop for Drawn {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
