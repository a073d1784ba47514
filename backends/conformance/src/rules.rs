//! The one list of rules, and what is made of it.

use std::future::Future;
use std::pin::Pin;

use crate::{Subject, cases};

/// A rule under way.
pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Hands the list of rules to another macro. A rule added here reaches every backend.
#[doc(hidden)]
#[macro_export]
macro_rules! __rules {
    ($then:ident $args:tt) => {
        $crate::$then! { $args
            capability: [
                capabilities_are_constant
                material_up_to_the_capability_is_stored
                material_beyond_the_capability_is_invalid
                adopted_location_is_refused_where_nothing_is_adopted
                adopter_is_there_exactly_where_secrets_are_adopted
                adoption_ledger_remembers_what_consumers_use
            ]
            load: [
                absent_key_loads_as_none
                stored_record_loads_field_for_field
                key_twice_in_a_load_answers_twice
                load_answers_in_the_order_asked
                load_of_no_key_answers_nothing
            ]
            swap: [
                first_swap_stores_the_record
                second_registration_is_refused_and_changes_nothing
                swap_at_the_stamp_read_replaces_the_record
                stale_swap_is_refused_and_changes_nothing
                swap_of_an_absent_record_conflicts_with_none
                swap_with_a_made_up_stamp_is_refused
                repeated_swap_is_applied_once
                repeated_registration_is_applied_once
                overtaken_swap_conflicts_and_is_remembered
                swap_of_another_keys_record_is_invalid
                record_of_nearly_48_kib_is_stored
                record_beyond_48_kib_is_invalid
                swap_touches_no_other_key
            ]
            list: [
                list_of_nothing_is_empty
                every_record_is_listed_once_whatever_the_limit
                page_holds_at_most_its_limit
                list_follows_the_order_of_ids
                list_filters_by_environment
                list_filters_by_function
                listed_stamp_is_good_for_a_swap
                history_pages_are_hidden_unless_asked_for
                foreign_page_token_is_invalid
                writes_during_a_listing_hide_nothing
            ]
            stage: [
                staged_bytes_come_back_whatever_they_are
                one_byte_comes_back
                value_that_looks_encoded_comes_back
                fields_come_back_with_an_empty_one
                most_fields_allowed_come_back
                same_bytes_again_are_already_same
                other_bytes_conflict_and_are_not_stored
                stage_is_write_once_after_publishing_too
                material_of_another_shape_is_invalid_and_not_stored
                staged_material_is_not_shown_to_readers
                keys_do_not_see_each_others_material
            ]
            pointer: [
                pointer_of_nothing_has_a_token
                pointer_shows_what_was_published
                pointer_token_changes_with_every_move
                token_of_a_move_is_good_for_the_next
            ]
            publish: [
                publish_moves_from_the_token_seen
                publish_with_an_old_token_conflicts_and_moves_nothing
                repeated_publish_is_already_there_whatever_the_token
                version_is_published_again_under_a_fresh_publication
                token_is_not_good_again_when_the_same_version_returns
                unstaged_version_is_not_found_and_moves_nothing
                publish_of_an_unknown_key_is_not_found
            ]
            read: [
                current_is_what_the_pointer_shows
                current_of_nothing_published_is_not_found
                current_unless_is_unchanged_until_the_pointer_moves
                version_reads_without_publication
                unknown_version_is_not_found
                batch_answers_in_order_and_duplicates
                bad_item_hides_no_other
                read_of_no_item_answers_nothing
            ]
            withdraw: [
                shown_version_is_not_withdrawn
                withdrawn_version_is_given_up
                withdrawn_version_cannot_be_published
                withdraw_again_is_absent
                withdraw_of_what_never_was_is_absent
                withdraw_spares_other_versions
            ]
            survey: [
                survey_of_nothing_is_empty
                survey_lists_versions_and_pointer
                survey_leaves_withdrawn_versions_out
            ]
            retire: [
                retired_key_has_no_material
                retire_of_nothing_is_absent
                record_outlives_retire
                token_of_before_a_retire_is_dead
                retire_spares_other_keys
            ]
            audit: [
                every_change_is_on_the_log_with_who_why_and_which_request
                released_material_is_on_the_log
                reads_of_records_are_not_reads_of_material
                refused_changes_are_not_logged_as_changes
                log_is_numbered_without_gaps
                log_filters_by_key_action_and_time
                long_log_comes_in_pages
                appended_event_comes_back
                log_holds_when_verified
                foreign_page_token_of_the_log_is_invalid
            ]
            deadline: [
                late_load_is_unavailable
                late_swap_is_unavailable_and_changes_nothing
                late_list_is_unavailable
                late_stage_is_unavailable_and_stores_nothing
                late_pointer_is_unavailable
                late_publish_is_unavailable_and_moves_nothing
                late_read_is_unavailable
                late_withdraw_is_unavailable_and_gives_nothing_up
                late_survey_is_unavailable
                late_retire_is_unavailable_and_retires_nothing
            ]
            cancel: [
                dropped_swap_is_done_or_not_done
                dropped_stage_is_done_or_not_done
                dropped_publish_is_done_or_not_done
                dropped_withdraw_is_done_or_not_done
                dropped_retire_is_done_or_not_done
            ]
            race: [
                one_of_many_registrations_wins
                one_of_many_swaps_wins
                competing_writers_lose_no_change
                one_of_many_stages_wins
                same_bytes_staged_by_many_are_stored_once
                one_of_many_publishes_wins
            ]
            redact: [
                debug_of_the_backend_holds_no_material
                debug_of_answers_holds_no_material
                errors_hold_no_material
                audit_log_holds_no_material
            ]
        }
    };
}

/// The names of all rules.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    ({} $($group:ident: [$($rule:ident)*])*) => {
        &[$($(stringify!($rule),)*)*]
    };
}

/// All rules, by name.
#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    ({} $($group:ident: [$($rule:ident)*])*) => {
        &[$($(Rule { name: stringify!($rule), run: |on| Box::pin(cases::$group::$rule(on)) },)*)*]
    };
}

/// The names of all rules, in the order of the contract: what [`suite!`](crate::suite!) makes
/// tests of.
pub const RULES: &[&str] = __rules!(__names {});

const TABLE: &[Rule] = __rules!(__table {});

/// One rule of the contract, to be run by hand. [`suite!`](crate::suite!) runs them all.
#[derive(Clone, Copy)]
pub struct Rule {
    name: &'static str,
    run: for<'a> fn(&'a Subject<'a>) -> BoxFuture<'a>,
}

impl Rule {
    /// All rules.
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// The rule of this name.
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|rule| rule.name == name).copied()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Runs it. Panics when the store breaks the rule, as an assertion does.
    pub async fn check(self, on: &Subject<'_>) {
        (self.run)(on).await;
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rule({})", self.name)
    }
}
