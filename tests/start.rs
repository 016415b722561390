//! Failed starts of real processes: each names its cause and the remedy.
//!
//! Needs Chromium and ChromeDriver; `tests/run.sh` installs them.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::error::Error as _;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::chrome::Chrome;
use support::{LIMIT, assert_says, cancel_after, ms, sandbox};
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::source::webdriver::{
    DriverProcess, DriverProcessBuilder, OpenOptions, Page, Target,
};
use whatsapp_phone::testkit::standin::{Scenario, StandIn};

/// Set for a copy of this test program that plays an old browser; its value is the profile.
const OLD_BROWSER: &str = "WHATSAPP_PHONE_TEST_OLD_BROWSER";

fn builder() -> DriverProcessBuilder {
    DriverProcess::builder().start_timeout(LIMIT)
}

fn options() -> OpenOptions {
    // Nothing listens there: should a browser start, it opens no foreign page.
    let target = Target::at("http://127.0.0.1:9").unwrap();
    OpenOptions::default()
        .target(target)
        .deadline(LIMIT)
        .headless(true)
}

/// Adds `--no-sandbox` for root.
fn with_sandbox_args(options: OpenOptions) -> OpenOptions {
    let args = sandbox().iter();
    args.fold(options, |options, arg| options.browser_arg(*arg))
}

/// Returns the failure of a page that does not open, on a driver of its own.
async fn refused(options: OpenOptions) -> ProtocolFailure {
    let driver = builder()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    Page::open(&driver, options).await.unwrap_err()
}

/// Writes a program for a test, through another process: if this process held the file open for writing, a child
/// that another test forks could hold it open too, and the program would not start.
fn program(shell: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    let mut writer = Command::new("sh");
    let written = writer.args(["-c", shell, "sh"]).arg(&path).status();
    assert!(written.unwrap().success());
    (directory, path)
}

fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
    let quoted = text.replace('\'', r"'\''");
    program(&format!(
        r#"printf '#!/bin/sh\n%s\n' '{quoted}' > "$1" && chmod +x "$1""#
    ))
}

#[tokio::test]
async fn a_profile_that_another_host_has_locked() {
    let profile = tempfile::tempdir().unwrap();
    symlink("otherhost-123", profile.path().join("SingletonLock")).unwrap();
    let arg = format!("--user-data-dir={}", profile.path().display());
    let failure = refused(with_sandbox_args(options()).browser_arg(arg)).await;
    let parts = [
        "locked by a browser on another host",
        "delete `SingletonLock`",
        "(otherhost)",
    ];
    assert_says(&failure, &parts);
    // The server's answer is the cause.
    let answer = failure.source().unwrap().to_string();
    assert!(answer.contains("Chrome instance exited"), "{answer}");
}

#[tokio::test]
async fn a_profile_that_a_running_browser_uses() {
    let chrome = Chrome::start().await;
    let arg = format!("--user-data-dir={}", chrome.profile().display());
    let failure = refused(with_sandbox_args(options()).browser_arg(arg)).await;
    assert_says(
        &failure,
        &[
            "another running browser uses this profile",
            "one profile per session",
        ],
    );
}

#[tokio::test]
async fn a_profile_that_cannot_be_written() {
    let options = with_sandbox_args(options()).browser_arg("--user-data-dir=/proc/none");
    let failure = refused(options).await;
    assert_says(
        &failure,
        &[
            "cannot write to its profile directory",
            "make the directory",
        ],
    );
}

#[tokio::test]
async fn root_with_the_sandbox() {
    let driver = builder()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let target = Target::at(stand_in.origin()).unwrap();
    let outcome = Page::open(&driver, options().target(target)).await;
    if rustix::process::geteuid().is_root() {
        let parts = ["does not run as root with its sandbox", "--no-sandbox"];
        assert_says(&outcome.unwrap_err(), &parts);
        run_as_nobody("root_with_the_sandbox");
    } else {
        // It starts, unless this system forbids the sandbox to all users, as containers often do.
        match outcome {
            Ok(page) => page.close().await,
            Err(failure) => assert_says(&failure, &["does not allow the browser's sandbox"]),
        }
    }
}

/// Runs a test of this program as a user without rights.
fn run_as_nobody(test: &str) {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("start");
    // Other users may have no access to the directory in which it was built.
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [home.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut command = Command::new("setpriv");
    command
        .args(nobody)
        .arg(&program)
        .args(["--exact", test, "--nocapture"]);
    for variable in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"] {
        command.env(variable, home.path());
    }
    let run = command.current_dir(home.path()).output().unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    println!("as nobody: {printed}");
    assert!(
        run.status.success() && printed.contains("1 passed"),
        "{run:?}"
    );
}

#[tokio::test]
async fn a_browser_that_names_its_cause_and_then_hangs() {
    let (_keep, path) = script(
        "echo '[1:1:0:ERROR:x.cc:9] Missing X server or $DISPLAY' >&2
exec sleep 600",
    );
    let driver = builder()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    // On a busy machine the browser may not have printed it by an early deadline.
    let mut deadline = ms(2000);
    let failure = loop {
        let options = options().browser(&path).deadline(deadline);
        let failure = Page::open(&driver, options).await.unwrap_err();
        assert_eq!(failure.code(), Some("timeout"), "{failure}");
        if failure.message().contains("no display") || deadline > LIMIT {
            break failure;
        }
        deadline *= 2;
    };
    for part in [
        "the page was not there after",
        "no display",
        "headless(true)",
        "Missing X server",
    ] {
        assert!(
            failure.message().contains(part),
            "no `{part}` in: {failure}"
        );
    }
}

#[tokio::test]
async fn starts_that_were_given_up_take_no_cause_from_the_next_one() {
    let (_keep, hangs) = script("exec sleep 600");
    let (_keep_too, loud) = script("echo 'Missing X server or $DISPLAY' >&2; exit 1");
    let driver = builder()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let hanging = options().browser(&hangs).deadline(ms(300));
    let failure = Page::open(&driver, hanging).await.unwrap_err();
    assert_eq!(failure.code(), Some("timeout"), "{failure}");
    cancel_after(ms(300), Page::open(&driver, options().browser(&hangs))).await;
    let failure = Page::open(&driver, options().browser(&loud))
        .await
        .unwrap_err();
    assert_says(&failure, &["no display", "Missing X server"]);
}

#[tokio::test]
async fn parallel_starts_on_one_driver_do_not_quote_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let [printed, ended] = ["printed", "ended"].map(|name| directory.path().join(name));
    // Both have begun before either prints or ends.
    let (_keep, loud) = script(&format!(
        "echo 'Missing X server or $DISPLAY, of the loud one' >&2
: > {}; until [ -e {} ]; do sleep 0.05; done; exit 1",
        printed.display(),
        ended.display()
    ));
    let (_keep_too, quiet) = script(&format!(
        "until [ -e {} ]; do sleep 0.05; done; exit 1",
        printed.display()
    ));
    let driver = builder()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let quiet = async {
        let failure = Page::open(&driver, options().browser(&quiet))
            .await
            .unwrap_err();
        std::fs::write(&ended, "").unwrap();
        failure
    };
    let loud = Page::open(&driver, options().browser(&loud));
    let (quiet, loud) = tokio::join!(quiet, loud);
    for failure in [&quiet, &loud.unwrap_err()] {
        assert_says(failure, &["ended at once", "open one page at a time"]);
        assert!(!failure.message().contains("display"), "{failure}");
    }
    // Alone again, it is quoted.
    let (_keep_last, loud) = script("echo 'Missing X server or $DISPLAY' >&2; exit 1");
    let failure = Page::open(&driver, options().browser(loud))
        .await
        .unwrap_err();
    assert_says(&failure, &["no display"]);
}

#[tokio::test]
async fn no_display_for_a_visible_browser() {
    let builder = builder().env("DISPLAY", "").env("WAYLAND_DISPLAY", "");
    let driver = builder
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let options = with_sandbox_args(options()).headless(false);
    let failure = Page::open(&driver, options).await.unwrap_err();
    assert_says(
        &failure,
        &["no display", "headless(true)", "DriverProcessBuilder::env"],
    );
}

#[tokio::test]
async fn a_missing_shared_library_of_the_browser_and_of_the_driver() {
    // A real program that requires a library which does not exist.
    let rename = r#"LC_ALL=C sed 's/libc\.so\.6/libc.so.9/g' /bin/sh > "$1" && chmod +x "$1""#;
    let (_keep, path) = program(rename);
    let failure = refused(options().browser(&path)).await;
    let parts = [
        "a shared library is missing",
        "install the package",
        "libc.so.9",
    ];
    assert_says(&failure, &parts);
    let failure = builder().program(path).start().await.unwrap_err();
    assert_says(
        &failure,
        &["ended before it was ready", parts[0], parts[1], parts[2]],
    );
}

#[tokio::test]
async fn a_program_that_is_not_a_browser() {
    let missing = refused(options().browser("/nowhere/chromium")).await;
    assert_says(
        &missing,
        &[
            "does not exist",
            "OpenOptions::browser",
            "/nowhere/chromium",
        ],
    );

    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let failure = refused(options().browser(&plain)).await;
    assert_says(
        &failure,
        &[
            "cannot be executed",
            "chmod +x",
            &plain.display().to_string(),
        ],
    );

    let silent = refused(options().browser("/bin/true")).await;
    assert_says(
        &silent,
        &[
            "ended at once",
            "check that it is Chrome",
            "it printed nothing",
        ],
    );
    let other = refused(options().browser("/bin/cat")).await;
    assert_says(
        &other,
        &["is not Chrome or Chromium", "OpenOptions::browser"],
    );

    let failure = builder().program("/bin/true").start().await.unwrap_err();
    assert_says(
        &failure,
        &["check that it is ChromeDriver", "it printed nothing"],
    );
}

#[tokio::test]
async fn a_snap_wrapper_as_browser_and_as_driver() {
    let (_keep, path) = script(
        "echo \"Command '$0' requires the chromium snap to be installed.\" >&2
echo 'Please install it with:\n\nsnap install chromium' >&2\nexit 10",
    );
    let failure = refused(options().browser(&path)).await;
    let parts = ["snap wrapper", "without snap", "requires the chromium snap"];
    assert_says(&failure, &parts);
    let failure = builder().program(path).start().await.unwrap_err();
    assert_says(
        &failure,
        &["ended before it was ready", parts[0], parts[1], parts[2]],
    );
}

#[tokio::test]
async fn versions_that_do_not_match() {
    if let Some(profile) = std::env::var_os(OLD_BROWSER) {
        play_old_browser(Path::new(&profile));
    }
    let this = std::env::current_exe().unwrap();
    let (_keep, path) = script(&format!(
        "for arg; do case $arg in --user-data-dir=*) profile=${{arg#*=}};; esac; done
{OLD_BROWSER}=$profile exec '{}' --exact versions_that_do_not_match --nocapture",
        this.display()
    ));
    let driver = builder()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let parts = [
        "different versions",
        "the same major version of both",
        "114.0.5735.90",
    ];
    let failure = Page::open(&driver, options().browser(&path))
        .await
        .unwrap_err();
    assert_says(&failure, &parts);
    // A driver elsewhere prints nothing here, but its answer names this cause.
    let failure = Page::open_at(driver.url(), options().browser(&path))
        .await
        .unwrap_err();
    assert_says(&failure, &parts);
}

/// Answers as a Chrome of version 114 until it is ended.
fn play_old_browser(profile: &Path) -> ! {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = format!(
        r#"{{"Browser": "Chrome/114.0.5735.90", "Protocol-Version": "1.3", "WebKit-Version": "537.36 (@{:040})",
            "User-Agent": "", "V8-Version": "", "webSocketDebuggerUrl": "ws://127.0.0.1:{port}/devtools/browser/a"}}"#,
        7
    );
    let file = profile.join("DevToolsActivePort");
    std::fs::write(file, format!("{port}\n/devtools/browser/a\n")).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        let _ = write!(
            stream,
            "{head}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

#[tokio::test]
async fn arguments_environment_and_log_file_of_a_driver() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("driver.log");
    let builder = builder()
        .arg("--verbose")
        .env("GREETING", "hello")
        .log_file(&log);
    assert!(!format!("{builder:?}").contains("hello"));
    let driver = builder
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let (_keep, path) = script("echo \"it says $GREETING\" >&2\nexit 1");
    let failure = Page::open(&driver, options().browser(path))
        .await
        .unwrap_err();
    assert_says(&failure, &["ended at once", "it says hello"]);
    let text = std::fs::read_to_string(&log).unwrap();
    for part in [
        "started successfully on port",
        "COMMAND InitSession",
        "it says hello",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(
        std::fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let failure = self::builder()
        .log_file("/nowhere/log")
        .start()
        .await
        .unwrap_err();
    assert_says(&failure, &["the log file `/nowhere/log` cannot be written"]);
}
