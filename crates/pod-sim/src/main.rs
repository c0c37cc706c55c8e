//! Plays many lives, or one again with every verb told: `pod-sim --seeds 20000`, `pod-sim --seed 17`.

use clap::Parser;
use pod_sim::life::life;
use pod_sim::script::Script;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Plays pods' lives under virtual time against a host that fails as a seed says")]
struct Arguments {
    /// How many lives to play.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Play only this one.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let range = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.from..arguments.from + arguments.seeds,
    };
    if let Some(seed) = arguments.seed
        && let Ok(pod) = serde_json::to_string_pretty(&Script::new(seed).pod)
    {
        println!("{pod}");
    }
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for seed in range {
        match life(seed) {
            Ok(log) => {
                passed += 1;
                if arguments.seed.is_some() {
                    println!("{}", log.join("\n"));
                }
            }
            Err(wrong) => {
                failed += 1;
                println!("seed {seed}: {}", wrong.what);
                if failed == 1 {
                    for line in &wrong.log {
                        println!("    {line}");
                    }
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
