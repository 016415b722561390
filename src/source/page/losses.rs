//! [`losses`]: the parts that a page should have and does not.

use super::decision::{Evidence, Observation, Standing};
use super::envelope::Details;
use super::evidence::{Account, Registration, account, registration};
use super::overrides::Guard;

/// The getters of WhatsApp's own module: those of the present pages, then the older ones.
pub(super) const GETTERS: [&str; 6] = [
    "getMaybeMePnUser",
    "getMaybeMeLidUser",
    "getMaybeMeDevicePn",
    "getMaybeMeDeviceLid",
    "getMaybeMeUser",
    "getMeUser",
];

/// The usual fault of a part.
const GONE: &str = "was renamed or removed";

/// Lists the parts that a page of this generation should have and does not; one sentence each.
pub(super) fn losses(observation: &Observation, details: &Details) -> Vec<String> {
    let page = observation.envelope();
    let mut losses = Vec::new();
    let mut lose = |is_lost: bool, name: &str, fault: &str, effect: &str| {
        if is_lost {
            losses.push(format!("{name} {fault}, {effect}"));
        }
    };
    if !details.has_require || !page.is_booted {
        return losses;
    }
    let has_account = !matches!(account(page, None), Account::Absent);
    let guard = |guard: Guard| {
        let words = guard.as_str().replace('_', " ");
        format!(
            "the {words} `{}` (guard {guard})",
            page.overrides.name(guard)
        )
    };
    lose(
        !details.has_boot_marker,
        &guard(Guard::BootMarker),
        GONE,
        "so a page counts as booted only 20 s after it has loaded",
    );
    let no_test = if page.storage.noise && page.storage.me {
        "so the storage keys replace WhatsApp's registration test"
    } else if !has_account {
        "and the page has no account whose storage keys could replace WhatsApp's registration test"
    } else {
        "and the storage keys cannot replace WhatsApp's registration test, so answers are `unverified` at best"
    };
    lose(
        !details.has_registration_module,
        &guard(Guard::RegistrationModule),
        GONE,
        no_test,
    );
    let test_fault = match details {
        Details {
            has_registration_test: false,
            ..
        } => GONE,
        Details {
            registration_threw: true,
            ..
        } => "throws",
        _ => "does not give a boolean",
    };
    lose(
        details.has_registration_module && page.registered.is_none(),
        &guard(Guard::RegistrationTest),
        test_fault,
        no_test,
    );
    let unverified = if has_account {
        "so answers are `unverified`"
    } else {
        "so the number of an account would be `unverified`"
    };
    lose(
        !details.has_socket_module,
        &guard(Guard::SocketModule),
        GONE,
        unverified,
    );
    lose(
        details.has_socket_module && page.socket.is_none(),
        &guard(Guard::Socket),
        GONE,
        unverified,
    );
    lose(
        page.socket.is_some() && page.state().is_none(),
        &guard(Guard::SocketState),
        GONE,
        unverified,
    );
    let lacks_sync = match observation.standing() {
        Standing::Unverified(missing) | Standing::Counting { missing, .. } => {
            missing == Evidence::Sync
        }
        _ => false,
    };
    lose(
        lacks_sync,
        &guard(Guard::SocketSynced),
        GONE,
        "or the page has not synced, so answers are `unverified`",
    );
    let readers = "so the readers that ask WhatsApp's own code cannot";
    lose(
        !details.has_me_module,
        "`WAWebUserPrefsMeUser`",
        GONE,
        readers,
    );
    lose(
        !details.has_conn_module,
        "`WAWebConnModel`",
        GONE,
        "so push name and platform are unknown",
    );
    if details.has_me_module && !details.has_old_getter() {
        for name in &GETTERS[..4] {
            lose(
                !details.has_getter(name),
                &format!("`{name}`"),
                GONE,
                "so other getters or the storage replace it",
            );
        }
    }
    if registration(page) == Registration::Yes {
        let keys = "so the storage cannot replace a getter or the registration test";
        lose(!page.storage.noise, &guard(Guard::NoiseKey), GONE, keys);
        lose(!page.storage.me, &guard(Guard::NumberKey), GONE, keys);
        let knows_lid = matches!(account(page, None), Account::Known(known) if known.lid.is_some());
        lose(
            knows_lid && !details.has_lid_key,
            &guard(Guard::LidKey),
            GONE,
            "so the storage cannot replace a getter of the LID",
        );
    }
    losses
}
