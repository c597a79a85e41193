use clap::error::ErrorKind;

use super::*;

fn parsed(line: &str) -> Invocation {
    parse(line.split_whitespace()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(line: &str) -> clap::Error {
    parse(line.split_whitespace()).err().expect("this command line should be refused")
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn without_a_command_it_serves() {
    let invocation = parsed("dibs --listen 127.0.0.1:0 --demo false");
    assert!(invocation.command.is_none());
    let flags = [("listen", "127.0.0.1:0".to_owned()), ("demo", "false".to_owned())];
    assert_eq!(invocation.inputs.flags, flags);
}

#[test]
fn a_setting_may_stand_before_and_after_the_command() {
    for line in [
        "dibs --data here config check",
        "dibs config --data here check",
        "dibs config check --data here",
        "dibs migrate --data here",
        "dibs --data here sale list",
        "dibs sale list --data here",
        "dibs parked list --data=here",
    ] {
        let flags = parsed(line).inputs.flags;
        assert!(flags.iter().all(|flag| *flag == ("data", "here".to_owned())), "{line}: {flags:?}");
        assert!(!flags.is_empty(), "{line}");
    }
}

#[test]
fn each_setting_has_its_flag() {
    for setting in setting::all() {
        let line = ["dibs".to_owned(), format!("--{}", setting.flag()), "x".to_owned()];
        let invocation = parse(line).unwrap();
        assert_eq!(invocation.inputs.flags, [(setting.key, "x".to_owned())]);
    }
}

#[test]
fn what_nobody_can_mean_is_refused() {
    assert_eq!(refused("dibs --listn 127.0.0.1:1").kind(), ErrorKind::UnknownArgument);
    assert_eq!(refused("dibs sell").kind(), ErrorKind::InvalidSubcommand);
    for line in [
        "dibs sale create Cups --name Cups --stock 1 --opens-at +1s --closes-at +2s",
        "dibs sale create cups --name Cups --stock -1 --opens-at +1s --closes-at +2s",
        "dibs sale create cups --name Cups --stock 1 --opens-at 10:00 --closes-at +2s",
        "dibs parked reject nonsense",
    ] {
        assert_eq!(refused(line).kind(), ErrorKind::ValueValidation, "{line}");
    }
    let both = refused("dibs sale tickets cups --csv --json");
    assert_eq!(both.kind(), ErrorKind::ArgumentConflict);
}

#[test]
fn the_help_tells_every_setting_and_an_example() {
    let help = refused("dibs --help").to_string();
    for setting in setting::all() {
        assert!(help.contains(&format!("--{}", setting.flag())), "{} is missing", setting.key);
    }
    assert!(help.contains("Examples:") && help.contains("DIBS_OPS_LISTEN"));
    let short = refused("dibs -h").to_string();
    assert!(short.contains("--listen") && !short.contains("--sweep-every"), "{short}");
}
