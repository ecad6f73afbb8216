//! Runs a fuzz target: `scripts/check-fuzz` builds it with libFuzzer, whose arguments it then has;
//! any other build runs the target once for each named file.
#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(feature = "libfuzzer")]
mod libfuzzer {
    #![expect(clippy::panic, reason = "the script names a target")]

    use std::sync::OnceLock;

    use fuzz_targets::Target;

    static SELECTED: OnceLock<Target> = OnceLock::new();

    fn selected() -> Target {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        Target::named(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is {name:?}, not a target"))
    }

    libfuzzer_sys::fuzz_target!(|input: &[u8]| SELECTED.get_or_init(selected).check(input));
}

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::process::ExitCode {
    reproduce::main()
}

#[cfg(not(feature = "libfuzzer"))]
mod reproduce {
    #![expect(clippy::print_stderr, reason = "talks to a person")]

    use std::{env, fs, process::ExitCode};

    use fuzz_targets::{TARGETS, Target};

    /// Runs a target with each file; a property that does not hold panics.
    pub(crate) fn main() -> ExitCode {
        let mut arguments = env::args_os().skip(1);
        let name = arguments.next().unwrap_or_default();
        let Some(target) = Target::named(&name.to_string_lossy()) else {
            let names = TARGETS.map(|target| target.name).join(", ");
            eprintln!("usage: fuzz TARGET FILE…, with one of these targets: {names}");
            return ExitCode::from(2);
        };
        for path in arguments {
            eprintln!("{}", path.display());
            match fs::read(&path) {
                Ok(input) => target.check(&input),
                Err(error) => {
                    eprintln!("cannot read the file: {error}");
                    return ExitCode::from(2);
                }
            }
        }
        ExitCode::SUCCESS
    }
}
