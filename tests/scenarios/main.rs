//! The failure scenarios of the specification, F1 to F58, each a test of that name.
//!
//! The bodies take any store where they can; here they run on the strict fake, whose hosts die,
//! lose replies and are refused exactly where a scenario says so.
//!
//! Scenarios about one store are tested beside it, and those of one part of the engine with the
//! rest of that part:
//!
//! | | where |
//! | --- | --- |
//! | F17, F30, F40 | also `tests/reconcile.rs`: what others wrote, revokes that do not happen, older records |
//! | F18 | `backends/aws/tests/store.rs`: `f18_a_secret_that_aws_rotates_and_a_replica_are_not_written` |
//! | F22 | also `tests/clocks.rs`: clocks set forward and back, records from the future, leaks |
//! | F25 | also `backends/aws/tests/faults.rs`: `throttling_is_waited_out_and_a_quota_is_not` |
//! | F28 | `backends/vault/tests/auth.rs`: `f28_a_dead_token_is_replaced_once_for_all_callers` |
//! | F29 | `backends/vault/tests/errors.rs`: `f29_a_sealed_server_is_sealed`, `faults.rs`: `every_status_has_its_kind` |
//! | F33 | also `tests/gates.rs`: old keys in use, consumers left behind |
//! | F36, F45 | `tests/suspend.rs`: while the old key is switched off |
//! | F37 | `tests/rotation.rs`: `f37_a_lost_old_value_is_noted_before_readers_get_the_new_one_and_never_published` |
//! | F38 | `backends/vault/tests/errors.rs`: `f38_a_write_that_would_vanish_by_itself_is_refused` |
//! | F41 | `backends/vault/tests/errors.rs`: `f41_a_stamp_of_before_the_numbers_began_anew_is_dead` |
//! | F53 | `backends/file/tests/kill.rs`: `f53_nothing_acknowledged_is_lost_and_nothing_is_torn` |
//! | F54 | `backends/file/tests/full.rs`: `f54_a_full_disk_loses_nothing_and_leaves_nothing_behind` |

#[path = "../support/mod.rs"]
mod support;

mod backends;
mod clocks;
mod concurrency;
mod create;
mod denial;
mod gates;
mod leak;
mod leak_in_flight;
mod names;
mod pause;
mod publish;
mod redaction;
mod revoke;
mod stage;
mod world;

use std::sync::Arc;

use futures_lite::future::block_on;
use keyward::core::ManualClock;
use keyward_conformance::strict::StrictFake;

/// Each scenario on the strict fake.
macro_rules! on_the_strict_fake {
    ($($module:ident::$scenario:ident)*) => {
        $(#[test] fn $scenario() {
            let clock = Arc::new(ManualClock::default());
            let store = StrictFake::with_clock(clock.clone());
            block_on($module::$scenario(store, clock));
        })*
    };
}

on_the_strict_fake! {
    create::f01_a_crash_before_the_create_loses_no_key
    create::f02_a_key_whose_maker_died_is_found_by_its_label
    create::f03_a_create_that_timed_out_is_never_repeated
    create::f04_a_create_that_lands_after_the_horizon_is_still_revoked
    create::f04_a_create_that_lands_while_the_sweeper_looks_is_not_buried_alive
    create::f42_a_full_issuer_with_a_strangers_key_deletes_nothing
    create::f43_a_full_issuer_with_our_own_orphan_is_swept
    stage::f05_a_stage_whose_reply_was_lost_goes_on
    stage::f06_other_material_under_the_same_version_is_never_published
    stage::f07_material_of_a_version_given_up_is_withdrawn
    stage::f08_a_flapping_probe_passes_after_successes_in_a_row_only
    stage::f09_another_scope_is_a_failed_validation
    publish::f10_a_crash_before_the_publish_is_published_or_fenced
    publish::f11_a_publish_whose_reply_was_lost_is_seen
    publish::f12_a_crash_after_the_publish_is_confirmed
    publish::f17_what_somebody_else_published_stops_the_run
    concurrency::f13_a_sleeper_that_wakes_after_an_abort_publishes_nothing
    concurrency::f14_a_sleeper_that_wakes_after_a_rollback_publishes_nothing
    concurrency::f15_two_rotators_that_start_together_make_one_run
    concurrency::f16_a_loser_with_an_old_record_changes_nothing
    concurrency::f23_a_process_suspended_over_its_create_does_no_harm
    concurrency::f56_a_run_dropped_at_any_moment_is_resumed
    clocks::f19_a_reader_with_the_longest_ttl_is_served_through_the_overlap
    clocks::f20_a_reader_beyond_its_hard_ttl_answers_stale
    clocks::f21_a_rejection_after_the_cut_over_is_one_refresh
    clocks::f22_a_clock_that_is_behind_or_steps_back_only_delays
    denial::f24_ten_minutes_of_throttling_change_nothing
    denial::f25_a_quota_is_not_retried
    denial::f26_a_store_that_denies_writes_parks_the_run
    denial::f27_an_old_key_that_may_not_be_revoked_is_never_reported_as_rotated
    denial::f39_a_secret_scheduled_for_deletion_parks_the_run
    revoke::f30_a_revoke_that_fails_for_ever_blocks_what_must_wait
    revoke::f31_a_revoked_key_that_still_works_is_not_revoked
    revoke::f35_after_the_point_of_no_return_a_rollback_is_refused
    gates::f32_a_gate_that_trips_brings_the_old_key_back
    gates::f33_a_gate_that_has_seen_too_little_revokes_nothing
    gates::f34_when_both_keys_are_refused_the_run_holds
    backends::f40_a_record_restored_from_a_backup_revokes_nothing_that_serves
    leak::f44_a_leak_of_the_primary_is_refused_replaced_and_logged
    leak::f45_a_leak_of_the_old_key_in_the_soak_skips_the_windows
    leak::f47_a_leak_of_both_keys_leaves_no_usable_key_until_the_third
    leak::f48_a_repeated_report_can_only_widen_the_window
    leak::f49_a_report_that_matches_nothing_rotates_nothing
    leak_in_flight::f45_a_leak_of_the_key_a_rollback_goes_back_to_is_fenced_first
    leak_in_flight::f46_a_leak_of_the_new_key_is_fenced_then_revoked
    names::f55_hostile_names_are_refused_before_any_call
    redaction::f57_no_value_is_in_any_message_whatever_fails
}
