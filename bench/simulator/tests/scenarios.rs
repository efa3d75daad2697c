//! What must hold of every scenario, with few viewers.

use coord_server::registry::Recommendation;
use dcdn_protocol::PolicyName;
use dcdn_simulator::report::{Execution, Report, simulate};
use dcdn_simulator::scenario::{Name, Options};

fn run(name: Name, options: &Options, threads: usize) -> Report {
    let execution = Execution { threads: Some(threads), progress: false, plots: None };
    simulate(name, options, execution).expect("options that make sense")
}

fn json(name: Name, options: &Options, threads: usize) -> String {
    serde_json::to_string(&run(name, options, threads)).expect("plain numbers")
}

fn few(seed: u64) -> Options {
    Options {
        seed,
        viewers: Some(8),
        minutes: Some(0.25),
        policies: PolicyName::ALL.to_vec(),
        ..Options::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let options = few(7);
    let one = json(Name::FlashCrowd, &options, 1);
    assert_eq!(one, json(Name::FlashCrowd, &options, 2));
    assert_eq!(one, json(Name::FlashCrowd, &options, 5));
    assert_ne!(one, json(Name::FlashCrowd, &few(8), 1));
}

#[test]
fn threads_make_no_difference_to_pages_churn_and_a_small_origin() {
    for name in [Name::ImageHeavy, Name::Churn, Name::Live] {
        let options = Options {
            viewers: Some(40),
            origin_mbit: Some(50),
            policies: vec![PolicyName::Adaptive],
            ..few(3)
        };
        assert_eq!(json(name, &options, 1), json(name, &options, 3), "{}", name.as_str());
    }
}

#[test]
fn every_scenario_runs_with_every_policy_and_keeps_its_books() {
    for name in Name::ALL.into_iter().chain([Name::Scale]) {
        let report = run(name, &few(5), 1);
        assert_eq!(report.violations().collect::<Vec<_>>(), [], "{}", name.as_str());
        let configurations: Vec<&str> =
            report.configurations.iter().map(|it| it.configuration).collect();
        for policy in PolicyName::ALL.into_iter().filter(|it| *it != PolicyName::Http) {
            assert!(configurations.contains(&policy.as_str()), "{}", name.as_str());
        }
        for it in &report.configurations {
            let sources = it.from_origin_bytes + it.from_peers_bytes + it.from_store_bytes;
            assert_eq!(it.delivered_bytes, sources, "{} {}", name.as_str(), it.configuration);
            assert!(it.delivered_bytes > 0, "{} {}", name.as_str(), it.configuration);
            assert!(it.origin_bytes >= it.from_origin_bytes);
            if it.configuration.starts_with("plain") {
                assert_eq!((it.from_peers_bytes, it.per_viewer.handles), (0, 0.0));
            }
        }
        assert!(report.table().contains(name.as_str()));
    }
}

#[test]
fn those_who_watch_to_the_end_see_it_whatever_the_policy() {
    let options = Options { viewers: Some(30), ..few(11) };
    let report = run(Name::FlashCrowd, &options, 1);
    for it in &report.configurations {
        assert_eq!((it.finished, it.failures), (30, 0), "{}", it.configuration);
        assert_eq!(it.delivered_bytes, 30 * report.content_bytes, "{}", it.configuration);
    }
}

#[test]
fn liars_are_found_out() {
    let options = Options { viewers: Some(40), ..few(2) };
    let report = run(Name::Poison, &options, 1);
    let adaptive = report.configurations.last().expect("adaptive comes last");
    assert!(adaptive.wrong_hashes > 0);
    assert_eq!(adaptive.finished, 40);
}

#[test]
fn plots_are_written_for_every_scenario() {
    let folder = std::env::temp_dir().join(format!("dcdn-plots-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let execution = Execution { threads: Some(1), progress: false, plots: Some(&folder) };
    let options = Options { policies: vec![PolicyName::HeadStart], ..few(1) };
    simulate(Name::FlashCrowd, &options, execution).expect("plots");
    for plot in ["origin", "start-up", "last-byte", "fairness", "offload"] {
        let path = folder.join(format!("flash-crowd-{plot}.svg"));
        let text = std::fs::read_to_string(&path).expect("a plot");
        assert!(text.contains("<svg") && text.contains("flash-crowd"), "{plot}");
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}

/// The same crowds as in `bench/RESULTS.md`, but small.
#[test]
fn peers_by_what_they_will_hold_cost_the_origin_less_than_peers_by_lot() {
    let origin_bytes = |recommendation| -> u64 {
        let crowd = |seed| {
            let options = Options {
                viewers: Some(100),
                minutes: Some(1.0),
                policies: vec![PolicyName::Adaptive],
                recommendation,
                ..few(seed)
            };
            let report = run(Name::FlashCrowd, &options, 1);
            let adaptive = report.configurations.iter().find(|it| it.configuration == "adaptive");
            adaptive.expect("it was run").origin_bytes
        };
        (7..10).map(crowd).sum()
    };

    let [random, predictive] = Recommendation::ALL.map(origin_bytes);

    println!("from the origin: {random} bytes by lot, {predictive} by what they will hold");
    assert!(predictive < random, "{predictive} bytes, {random} by lot");
}
