//! Causes for which a driver or a browser did not start, read from its output or answer.

use crate::text::clean;

/// Longest quotation of a foreign text, in bytes.
const MAX_QUOTED: usize = 300;

/// The text that failed starts share if the cause is unknown.
const ENDED: &str = "instance exited";

/// A cause of failed starts.
#[derive(Debug)]
pub(in crate::source) struct Row {
    /// The text that names this cause.
    mark: &'static str,
    pub(in crate::source) cause: &'static str,
    pub(in crate::source) remedy: &'static str,
    /// A real text.
    #[cfg(test)]
    sample: &'static str,
    #[cfg(test)]
    origin: &'static str,
}

/// Declares the rows; samples and their origins are needed by the test alone.
macro_rules! rows {
    ($($mark:expr, $cause:expr, $remedy:expr, $sample:literal, $origin:expr;)*) => {
        &[$(Row {
            mark: $mark,
            cause: $cause,
            remedy: $remedy,
            #[cfg(test)]
            sample: $sample,
            #[cfg(test)]
            origin: $origin,
        },)*]
    };
}

const VERSIONS: &str = "ChromeDriver and the browser have different versions";
const SAME_VERSION: &str = "install the same major version of both, or name the right browser with `OpenOptions::browser` or the right driver with `DriverProcessBuilder::program`";
const NAME_BROWSER: &str =
    "install Chromium or Google Chrome, or name its program with `OpenOptions::browser`";
const NOT_CHROME: &str = "the browser's program is not Chrome or Chromium";
const SNAP: &str = "the program is a snap wrapper, and the snap does not run here";
const NO_SNAP: &str = "install Google Chrome or Chromium with its ChromeDriver without snap, and name them with `OpenOptions::browser` and `DriverProcessBuilder::program`";
const IN_USE: &str = "another running browser uses this profile";
const OWN_PROFILE: &str =
    "close that browser, or use one profile per session: another `--user-data-dir`";
const NOT_WRITABLE: &str = "the browser cannot write to its profile directory";
const MAKE_WRITABLE: &str =
    "make the directory of `--user-data-dir` writable for this user, or name another one";
const NO_DISPLAY: &str = "there is no display for a visible browser";
const HEADLESS: &str = "use `OpenOptions::headless(true)`, or set DISPLAY with `DriverProcessBuilder::env` (`xvfb-run` gives one)";
#[cfg(test)]
const MEASURED: &str = "Chromium and ChromeDriver 156";

/// The first row whose mark is in the text decides: exact causes stand above texts that several causes share.
#[rustfmt::skip] // A table is read by its columns.
const ROWS: &[Row] = rows![
    "only supports Chrome version", VERSIONS, SAME_VERSION, "session not created: This version of ChromeDriver only supports Chrome version 156\nCurrent browser version is 114.0.5735.90 with binary path /tmp/old", MEASURED;
    "Chrome version must be", VERSIONS, SAME_VERSION, "unknown error: Chrome version must be >= 70.0.3538.0", "ChromeDriver 2.44";
    "no chrome binary at", "the browser's program does not exist", NAME_BROWSER, "session not created\nfrom unknown error: no chrome binary at /nowhere/chromium", MEASURED;
    "cannot find Chrome binary", "ChromeDriver found no browser", NAME_BROWSER, "session not created: cannot find Chrome binary", "ChromeDriver";
    "failed to execvp", "the browser's program cannot be executed", "make it executable (`chmod +x`), or name another program with `OpenOptions::browser`", "LaunchProcess: failed to execvp:\n/tmp/notexec", MEASURED;
    "error while loading shared libraries", "a shared library is missing", "install the package that has it, with all dependencies of the browser", "/opt/chrome: error while loading shared libraries: libnss3.so: cannot open shared object file: No such file or directory", "glibc 2.36";
    "requires the chromium snap to be installed", SNAP, NO_SNAP, "Command '/usr/bin/chromium-browser' requires the chromium snap to be installed.\nPlease install it with:\n\nsnap install chromium", "chromium-browser of Ubuntu 22.04";
    "is not a snap cgroup", SNAP, NO_SNAP, "/system.slice/php7.4-fpm.service is not a snap cgroup", "chrome-php/chrome#479";
    "cannot create user data directory", SNAP, NO_SNAP, "cmd_run.go:1046: WARNING: cannot create user data directory: cannot create snap home dir: mkdir /var/www/snap: permission denied", "chrome-php/chrome#479";
    "snap-update-ns failed", SNAP, NO_SNAP, "snap-update-ns failed with code 1", "chrome-php/chrome#617";
    "on another computer (", "the profile is locked by a browser on another host", "end that browser; if it no longer runs, delete `SingletonLock` in the directory of `--user-data-dir`", "[29225:29225:1128/144741.657150:ERROR:chrome/browser/process_singleton_posix.cc:367] The profile appears to be in use by another Chromium process (123) on another computer (otherhost). Chromium has locked the profile so that it doesn't get corrupted.", MEASURED;
    "SingletonLock: File exists", IN_USE, OWN_PROFILE, "[29643:29643:1128/144743.803033:ERROR:chrome/browser/process_singleton_posix.cc:349] Failed to create /tmp/p2/SingletonLock: File exists (17)", MEASURED;
    "Opening in existing browser session", IN_USE, OWN_PROFILE, "Opening in existing browser session.", "chrome/browser of Chromium";
    "Failed to create a ProcessSingleton", NOT_WRITABLE, MAKE_WRITABLE, "[20417:20417:0416/114702.946821:ERROR:process_singleton_posix.cc(280)] Failed to create /home/f/chromium-stable/SingletonLock: Permission denied (13)\n[20417:20417:0416/114702.946937:ERROR:chrome_browser_main.cc(1408)] Failed to create a ProcessSingleton for your profile directory.", "cypress-io/cypress#7020";
    "cannot create default profile directory", NOT_WRITABLE, MAKE_WRITABLE, "session not created\nfrom unknown error: cannot create default profile directory", MEASURED;
    "Could not remove old devtools port file", NOT_WRITABLE, MAKE_WRITABLE, "session not created from unknown error: Could not remove old devtools port file. Perhaps the given user-data-dir at /var/lib/sessions/7 is still attached to a running Chrome or Chromium process", MEASURED;
    "Running as root without --no-sandbox", "the browser does not run as root with its sandbox", "run it as another user, or add `OpenOptions::browser_arg(\"--no-sandbox\")` if every page in it is trusted", "[28861:28861:1128/144711.684383:ERROR:content/browser/zygote_host/zygote_host_impl_linux.cc:103] Running as root without --no-sandbox is not supported. See https://crbug.com/638180.", MEASURED;
    "No usable sandbox!", "this system does not allow the browser's sandbox", "allow unprivileged user namespaces for it (AppArmor, sysctl, the container's seccomp profile), or add `OpenOptions::browser_arg(\"--no-sandbox\")` if every page in it is trusted", "[1:1:0319/084459.2:FATAL:zygote_host_impl_linux.cc(127)] No usable sandbox! If you are running on Ubuntu 23.10+ or another Linux distro that has disabled unprivileged user namespaces with AppArmor", "content/browser of Chromium";
    "Missing X server or $DISPLAY", NO_DISPLAY, HEADLESS, "[29316:29316:1128/144742.281326:ERROR:ui/ozone/platform/x11/ozone_platform_x11.cc:257] Missing X server or $DISPLAY", MEASURED;
    "nable to open X display", NO_DISPLAY, HEADLESS, "[3:3:0213/084459.2:ERROR:browser_main_loop.cc(485)] Unable to open X display.", "content/browser of Chromium 70";
    "unrecognized option '--", NOT_CHROME, NAME_BROWSER, "/bin/cat: unrecognized option '--allow-pre-commit-input'\nTry '/bin/cat --help' for more information.", "coreutils 9.1";
    "DevToolsActivePort file doesn't exist", "the browser did not use the profile that ChromeDriver named, as wrappers and snaps do, or it crashed", NO_SNAP, "unknown error: DevToolsActivePort file doesn't exist", "titusfortner/webdrivers#217";
    "user data directory is already in use", "probably another running browser uses this profile", OWN_PROFILE, "session not created: probably user data directory is already in use, please specify a unique value for --user-data-dir argument, or don't use --user-data-dir", "SeleniumHQ/selenium#15450";
    "cannot connect to chrome at", "the WebDriver server does not reach that Chrome", "start it with `--remote-debugging-port` and `--user-data-dir`, and give its address as an IP address that the server can reach", "session not created: cannot connect to chrome at 127.0.0.1:9\nfrom chrome not reachable", MEASURED;
    ENDED, "the browser's program ended at once", "check that it is Chrome or Chromium by running it in a terminal, or name another program with `OpenOptions::browser`", "session not created: Chrome instance exited. Examine ChromeDriver verbose log to determine the cause.", MEASURED;
];

/// Returns the cause that a text names.
pub(in crate::source) fn find(text: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| text.contains(row.mark))
}

/// The output of a driver that this crate started, and of its browser, during a start.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Printed<'t> {
    pub(in crate::source) text: &'t str,
    /// Other browsers started meanwhile, so the text is not complete.
    pub(in crate::source) has_overlapped: bool,
}

/// Describes why no session was created: by the server's answer, and by the output if driver and browser are ours.
pub(in crate::source) fn describe(answer: &str, printed: Option<Printed<'_>>) -> String {
    let output = printed.map_or("", |printed| printed.text);
    let text = format!("{answer}\n{output}");
    let Some(row) = find(&text) else {
        return clean(answer, MAX_QUOTED);
    };
    let quoted = match printed {
        Some(printed) if row.mark == ENDED && output.is_empty() => match printed.has_overlapped {
            false => "it printed nothing".into(),
            true => "other browsers started at the same time, so their output cannot be separated: open one page at a time to see it".into(),
        },
        Some(_) if row.mark == ENDED => format!("it said: {}", clean_end(output)),
        _ if answer.contains(row.mark) => format!("it said: {}", clean(answer, MAX_QUOTED)),
        _ => return in_output(output, row),
    };
    format!("{}; {} ({quoted})", row.cause, row.remedy)
}

/// Describes the cause that the output names, if it names one.
pub(in crate::source) fn describe_output(output: &str) -> Option<String> {
    find(output).map(|row| in_output(output, row))
}

fn in_output(output: &str, row: &Row) -> String {
    let line = clean(&line_of(output, row.mark), MAX_QUOTED);
    format!("{}; {} (it said: {line})", row.cause, row.remedy)
}

/// Returns the end of a text. All of it is cleaned before the cut, which could halve a secret and hide its mark.
fn clean_end(text: &str) -> String {
    let cleaned = clean(text, text.len());
    match cleaned.len().checked_sub(MAX_QUOTED) {
        None | Some(0) => cleaned,
        Some(excess) => {
            let start = cleaned.ceil_char_boundary(excess + '…'.len_utf8());
            format!("…{}", &cleaned[start..])
        }
    }
}

/// Returns the line that has this mark, without the head of Chrome's log, and the one after it if that
/// belongs to it.
fn line_of(text: &str, mark: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.contains(mark));
    let line = lines.next().unwrap_or_default();
    let head = line
        .split_once("] ")
        .filter(|(head, _)| head.starts_with('['));
    let line = head.map_or(line, |(_, text)| text);
    match lines.next() {
        Some(next) if !next.starts_with('[') => format!("{line} {next}"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_its_row() {
        for row in ROWS {
            let found = find(row.sample).unwrap_or_else(|| panic!("{row:?}"));
            assert_eq!(found.mark, row.mark, "{row:?}");
            assert!(!row.origin.is_empty());
            // Behind the text that all failed starts share, and through the bounds of a message.
            let answer = format!(
                "session not created: Chrome instance exited.\n{}",
                row.sample
            );
            let text = describe(&answer, None);
            assert!(text.len() < crate::failure::MAX_TEXT, "{text}");
            for part in [row.cause, row.remedy] {
                assert!(text.contains(part), "{row:?}: {text}");
            }
        }
    }

    #[test]
    fn the_marked_line_is_quoted_without_the_head_of_the_log() {
        let text =
            "a\n[1:1:0:ERROR:x.cc:9] Missing X server or $DISPLAY\n[1:1:0:ERROR:y.cc:1] other";
        assert_eq!(line_of(text, "Missing X"), "Missing X server or $DISPLAY");
        let text = "LaunchProcess: failed to execvp:\n/tmp/x";
        assert_eq!(
            line_of(text, "execvp"),
            "LaunchProcess: failed to execvp: /tmp/x"
        );
    }

    #[test]
    fn the_end_of_an_output_is_quoted_and_shows_no_half_of_a_secret() {
        for lead in 0..60 {
            let rest = "y".repeat(MAX_QUOTED - '…'.len_utf8() - lead);
            let printed = Printed {
                text: &format!(
                    "{}token=hunter2-hunter2-hunter2 {rest}",
                    "first ".repeat(90)
                ),
                has_overlapped: false,
            };
            let text = describe("Chrome instance exited.", Some(printed));
            assert!(text.ends_with(&format!("{rest})")), "{text}");
            assert!(text.contains("it said: …"), "{text}");
            assert!(!text.contains("ter2"), "{text}");
        }
    }

    #[test]
    fn an_answer_without_a_row_is_quoted_and_bounded() {
        assert_eq!(describe("the queue is full", None), "the queue is full");
        assert!(describe(&"x".repeat(9000), None).len() <= MAX_QUOTED);
    }
}
