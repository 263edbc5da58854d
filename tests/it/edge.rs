//! See `src/edge.rs`.
//!
//! `cases` holds the fault suite, which runs against a fake and against a real Caddy alike (`stage`); `real_caddy` what only
//! a real one can show; `evidence` what is heard of an edge.

#![expect(unreachable_pub, reason = "a test binary has no outside; `pub` says what other test modules may use")]

mod cases;
mod client;
mod evidence;
mod real_caddy;
mod stage;

/// Each case twice: `edge::fake::NAME` and `edge::real::NAME`.
macro_rules! suite {
    ($($case:ident),* $(,)?) => {
        mod fake {
            $(#[tokio::test] async fn $case() { super::cases::$case::<super::stage::FakeStage>().await; })*
        }
        mod real {
            $(#[tokio::test] async fn $case() { super::cases::$case::<super::stage::RealStage>().await; })*
        }
    };
}

suite!(
    accept_on_an_edge_without_a_config,
    accept_in_place_of_another_config,
    unchanged_sends_nothing,
    rejected_keeps_the_message_and_the_old_config,
    hang_on_read_ends_by_deadline,
    hang_on_load_ends_by_deadline,
    reset_before_the_config_was_taken,
    reset_after_the_config_was_taken,
    answer_cut_after_the_config_was_taken,
    lost_answer_and_no_way_to_ask,
    restarted_empty_is_repaired,
    foreign_route_is_repaired,
    other_spelling_is_no_difference,
    second_writer_between_read_and_write,
    second_writer_who_wants_the_same,
    second_writer_every_time,
    second_writer_after_the_load,
    reset_on_read_back_is_read_again,
    never_read_back_is_unverified,
    slow_is_ok,
    stranger_at_the_address,
    admin_section_is_kept_byte_for_byte,
    admin_over_a_unix_socket,
);
