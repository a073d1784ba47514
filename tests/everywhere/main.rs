//! One set of tests on every store: memory, file, Vault, AWS. Those of the remote stores run
//! against real servers: `tests/servers/up.sh`, or `tests/run.sh`, which starts them.

#![expect(clippy::print_stdout, reason = "each test says how much it did")]

#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod calls;
mod capabilities;
mod issuers;
mod native;
mod pairs;
mod playbook;
mod poller;
mod raw;
mod replies;
mod rotators;
mod stores;
mod world;

/// Each test on each store; a store that needs a server says so.
macro_rules! on_every_store {
    ($($module:ident::$test:ident)*) => {
        mod on_memory {
            $(#[test] fn $test() { super::run(async { super::$module::$test(super::stores::memory().await).await }) })*
        }
        mod on_file {
            $(#[test] fn $test() { super::run(async { super::$module::$test(super::stores::file().await).await }) })*
        }
        on_remote_stores! { on_vault on_aws: $($module::$test)* }
    };
}

/// Each test on the stores behind a network.
macro_rules! on_remote_stores {
    ($vault:ident $aws:ident: $($module:ident::$test:ident)*) => {
        mod $vault {
            $(#[test] #[ignore = "needs tests/servers/up.sh"]
            fn $test() { super::run(async { super::$module::$test(super::stores::vault().await).await }) })*
        }
        mod $aws {
            $(#[test] #[ignore = "needs tests/servers/up.sh"]
            fn $test() { super::run(async { super::$module::$test(super::stores::aws().await).await }) })*
        }
    };
}

on_every_store! {
    playbook::a_rotation_replaces_the_key_and_sees_the_old_one_dead
    playbook::a_failing_gate_publishes_the_old_key_again
    playbook::an_abort_while_promoting_fences_the_pointer
    playbook::a_leaked_key_is_refused_replaced_and_dead
    playbook::a_key_that_is_given_up_leaves_a_tombstone
    playbook::a_key_of_fields_rotates_as_one
    playbook::keys_are_served_and_followed_without_a_runtime
    rotators::sixteen_rotators_one_run
}

on_remote_stores! { behind_a_proxy_vault behind_a_proxy_aws:
    replies::a_lost_reply_at_every_request_ends_clean
    replies::a_death_before_every_request_ends_clean
    replies::a_death_after_every_request_ends_clean
}

on_remote_stores! { calls_vault calls_aws:
    calls::each_operation_makes_the_requests_it_should
}

on_remote_stores! { native_vault native_aws:
    native::native_readers_only_ever_see_validated_live_values
    native::what_a_person_writes_is_noticed_and_never_overwritten
}

on_remote_stores! { adopt_vault adopt_aws:
    adopt::an_existing_secret_is_adopted_rotated_and_undisturbed
    adopt::an_adoption_is_shown_first_and_taken_back
    adopt::many_are_adopted_with_a_report
    adopt::a_wrong_first_adoption_is_put_right
    adopt::a_death_at_every_call_of_an_adoption_is_finished_by_adopting_again
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_second_field_of_a_vault_path_is_planned_for_itself() {
    run(async { adopt::a_second_field_of_a_path_is_planned_for_itself(stores::vault().await).await });
}

/// Where calls cost nothing. What is remote dies at every request instead, behind a proxy.
#[test]
fn a_death_at_every_call_ends_clean_on_memory() {
    run(async { playbook::a_death_at_every_call_ends_clean(stores::memory().await).await });
}

#[test]
fn a_death_at_every_call_ends_clean_on_file() {
    run(async { playbook::a_death_at_every_call_ends_clean(stores::file().await).await });
}

/// Runs a test on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test);
}
