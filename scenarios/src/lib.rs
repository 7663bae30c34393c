//! The catalogue: one file a scenario, in folders by family.
//!
//! To add one: write its file, and name it in its family's list below.

/// Declares the families with their scenarios, and makes the catalogue of all of them.
macro_rules! catalogue {
    ($($family:ident { $($scenario:ident),* $(,)? })*) => {
        $(mod $family {
            $(pub(crate) mod $scenario;)*
        })*

        /// All scenarios.
        pub const CATALOGUE: &[harness::Scenario] = &[$($($family::$scenario::SCENARIO,)*)*];
    };
}

catalogue! {
    backup {
        died_midway,
        drill_killed,
        dump_damaged,
        foreign,
        fresh,
        held_in_memory,
        metadata,
        metadata_damaged,
        million,
        restored,
        secrets,
        secrets_kept,
        snapshot,
        store_full,
        tolerance,
        weekly,
    }
    broker {
        channel_closed,
        channel_closed_idle,
        connections_closed,
        disk_alarm,
        down_for_long,
        exchange_missing,
        killed_at_a_random_step,
        killed_at_rejection,
        killed_at_retry,
        killed_idle,
        killed_mid_flight,
        killed_twice,
        killed_under_quorum_queues,
        killed_with_backlog,
        memory_alarm,
        paused_beyond_heartbeat,
        paused_briefly,
        permissions_revoked,
        policy_missing,
        queue_deleted,
        queue_purged,
        queue_replaced,
        restarted_gracefully,
        restarted_idle,
        retry_queue_missing,
    }
    database {
        commit_answer_lost,
        commit_lost,
        connections_exhausted,
        deadlock,
        down_within_retries,
        killed,
        lock_wait_timeout,
        paused,
        read_only,
        restarted,
        rows_locked,
        slow,
        table_locked,
    }
    deploy {
        fails_midway,
        firewall,
        foreign,
        left_mixed,
        literal_newline,
        migrated_first,
        mixed_versions,
        others_untouched,
        partial,
        pinned,
        ports_closed,
        registry_lost,
        rolled_back,
        short_digest,
        tag_moved,
        third_party,
        under_load,
        unknown_service,
        volume_is_no_service,
    }
    link {
        ack_lost,
        closed,
        confirm_lost,
        cut,
        deaf,
        deliveries_late,
        deliveries_reordered,
        delivery_lost,
        dials_reset,
        event_link_cut_after_commit,
        half_open,
        half_open_database,
        late,
        mute,
        narrow,
        sliced,
    }
    message {
        duplicated,
        interleaved,
        odd,
        poison,
        poison_first,
        redelivery_storm,
        unroutable_event,
        visibility,
        without_tags,
    }
    pipeline {
        batch,
        corpus,
        golden_path,
    }
    pool {
        foreign_containers_survive,
    }
    retry {
        exhausted,
        killed_after_retry_publish,
        killed_at_rejection,
        killed_before_retry_publish,
        last_attempt,
        one_failure,
        two_failures,
    }
    service {
        killed_after_commit,
        killed_at_commit,
        killed_before_ack,
        killed_before_confirm,
        killed_behind_ack,
        killed_while_working,
        killed_with_a_delivery,
        one_of_two_killed,
        out_of_memory,
        paused,
        renderer_terminated,
        started_before_broker,
        started_before_database,
        terminated_while_working,
        two_instances,
    }
    upstream {
        cut_body,
        fails_once,
        garbage,
        held,
        never,
        rate_limited,
        slow,
    }
}
