# ruff: noqa: INP001 - part of a script beside its pages, no package
"""The ten promises of docs/reliability.md, clause by clause, with the tests that hold each: data for its script."""

from __future__ import annotations

from typing import NamedTuple


class Clause(NamedTuple):
    """One part of a promise: what, how it is kept, by which tests it is held, and a figure; ``{...}`` is worked out."""

    what: str
    how: str
    tests: str
    figure: str = ""


PROMISES: dict[str, tuple[Clause, ...]] = {
    "1. MPPE has no integrity: forged frames lead nobody astray": (
        Clause(
            "the key moves only for a plausible plaintext",
            "protocol known, IPv4 and IPv6 header sound; where the key had to jump, checksum and length exact",
            "mppe/test_plausibility::test_unsound_ipv4 test_unsound_ipv6 test_random_frames_hardly_ever_pass",
            "random octets pass after a jump once in 2^28",
        ),
        Clause(
            "no more key changes than the GRE number jumped",
            "the largest number that fits the 12-bit count and the GRE numbers, and not beyond a bound",
            "mppe/test_cipher::test_a_forged_count_cannot_move_the_key_beyond_the_sequence "
            "test_one_frame_too_many_lost_leaves_the_state_alone",
            "{changes} at most",
        ),
        Clause(
            "worked out on the side, committed after",
            "a refused frame leaves keys, counts and the GRE order as they were",
            "mppe/test_cipher::test_whatever_comes_the_genuine_next_frame_decrypts "
            "test_session::test_a_forged_frame_does_not_take_the_place_of_the_genuine_one",
        ),
        Clause(
            "a forged frame of 20 octets costs bounded processor time",
            "keys worked out ahead are kept, so the most that can be asked for is paid once for each set of keys",
            "mppe/test_cipher::test_what_a_forged_frame_costs_is_paid_once "
            "endurance/test_costs::test_what_a_hostile_peer_costs",
            "{forged_first} ms once; then {forged_further} us, {forged_worst} us at worst; an impossible count "
            "{forged_impossible} us",
        ),
        Clause(
            "nor does a user who has the keys get more, by jumping with every frame",
            "good frames are charged for what their jumps cost, by the link, through negotiations of CCP",
            "mppe/test_cipher::test_who_has_the_keys_cannot_jump_without_end "
            "test_what_others_forge_is_not_charged_to_the_sender "
            "ppp/test_encryption::test_new_keys_are_no_new_allowance",
            "{a_second} changes a second for each session, about {share} of one processor",
        ),
        Clause(
            "10,000 forged frames with every count end and stall nothing",
            "what counts as a peer with other keys is a run of frames as one sender's: later numbers, later counts",
            "test_session::test_every_count_in_a_row_ends_and_stalls_nothing "
            "test_ten_thousand_forged_frames_keep_nobody_out "
            "mppe/test_cipher::test_who_tries_every_count_does_not_look_like_a_peer_with_other_keys",
            "10,000 in a row, at one number or strewn, with nothing genuine between: session up, next packet passes",
        ),
        Clause(
            "a cipher out of step: CCP anew once, then the end",
            "{implausible} implausible frames in a row, of one sender",
            "test_session::test_a_cipher_out_of_step_is_negotiated_anew_once_and_then_given_up",
        ),
        Clause(
            "late and duplicate frames touch nothing",
            "lateness is decided by the GRE number, never by the count",
            "mppe/test_cipher::test_late_and_repeated_frames_leave_the_state_untouched "
            "test_old_frames_under_a_new_sequence_leave_the_state_untouched",
        ),
    ),
    "2. GRE": (
        Clause(
            "only from the address of each call",
            "the address its control connection comes from; another client's will not do",
            "aio/test_dataplane::test_one_clients_address_is_no_key_to_anothers_call test_nobody_elses_packets_count",
        ),
        Clause(
            "random call ids",
            "from the system's randomness, and a used one rests",
            "control/test_call_ids::test_ids_are_neither_sequential_nor_repeated "
            "test_a_released_id_rests_while_others_are_free",
            "1 in 65,535 to guess one",
        ),
        Clause(
            "bounded reorder",
            "a window of frames, each waited for no longer than the reorder time-out",
            "gre/test_reorder::test_queue_stays_bounded_when_the_caller_never_takes "
            "test_gap_never_filled_is_given_up_at_the_time_out",
            "{reorder} frames, 25 to 200 ms",
        ),
        Clause(
            "far jumps resynchronise by rule",
            "a frame far ahead is held until a neighbour or silence proves it; far behind, eight in a row",
            "gre/test_reorder::test_single_frame_far_ahead_then_normal_ones test_burst_of_loss_then_two_frames "
            "test_take_back_undoes_a_far_jump test_seven_late_frames_in_a_row_are_not_enough",
        ),
        Clause(
            "acknowledgements clamped to what was sent",
            "one beyond or backwards is counted and ignored",
            "gre/test_tunnel::test_acks_beyond_what_was_sent_and_backwards_are_ignored",
        ),
    ),
    "3. Policy: nobody talks us down": (
        Clause(
            "Nak to PAP, MD5 or MS-CHAPv1",
            "only what the settings allow is asked for next; else the session ends and says why",
            "ppp/test_lcp::test_a_nak_to_what_is_not_allowed_is_a_refusal test_a_client_agrees_to_its_own_methods_only",
        ),
        Clause(
            "MPPE-40 or none",
            "strengths and policy of the settings, in both roles",
            "ppp/test_encryption::test_no_common_strength test_the_peer_rejects_mppe "
            "ppp/test_ccp::test_a_nak_to_less_than_is_required_changes_nothing",
        ),
        Clause(
            "CCP Reject or Terminate at any time",
            "ends the session with the reason, in both roles, and with `prefer` too once it was encrypted",
            "ppp/test_encryption::test_the_peer_ends_ccp_once_it_is_open test_a_protocol_reject_of_ccp",
        ),
        Clause(
            "clear data after MPPE",
            "refused one by one; a run of them ends the session with the reason, in both roles",
            "test_session::test_clear_packets_are_refused_under_mppe "
            "test_who_goes_on_in_clear_is_ended_with_the_reason",
            "{clear} in a row",
        ),
        Clause(
            "the client never answers its own challenge",
            "remembers its last 256",
            "ppp/auth/test_mschap_v2::test_the_client_answers_none_of_its_own_challenges",
        ),
        Clause(
            "and checks `S=`",
            "a server that cannot prove it knows the password is left",
            "ppp/auth/test_mschap_v2::test_a_server_that_does_not_prove_itself_is_left "
            "test_a_wrong_proof_at_a_rechallenge_ends_an_open_link",
        ),
    ),
    "4. Before the log-in a peer gets nothing": (
        Clause(
            "no address, no TUN, no packet through",
            "each is asked for after the proof",
            "aio/test_server::test_before_the_log_in_there_is_nothing_to_be_had "
            "test_session::test_nothing_is_sent_or_taken_before_and_after",
        ),
        Clause(
            "limits on half-open connections, per address, per user",
            "`--max-starting`, `--max-per-address`, `--max-sessions-per-user`; the greediest gives way first",
            "aio/test_admission::test_a_limit_for_each_address test_who_holds_the_most_places_gives_way "
            "auth/test_session_limits::test_a_number_of_sessions",
            "{starting} and {per_address} by default",
        ),
        Clause(
            "start deadline",
            "for the whole Start-Control-Connection-Request, not for each octet",
            "control/test_connection::test_a_server_waits_for_the_whole_start_not_for_each_octet "
            "aio/test_driver::test_a_silent_connection_is_closed_on_time",
            "{start:.0f} s",
        ),
        Clause(
            "authentication failures slowed per address and per user",
            "answers are held back before the proof is looked at; nobody is locked out",
            "auth/test_pace::test_who_waits_as_told_is_held_to_the_interval "
            "aio/test_server::test_guessing_is_slowed_and_a_flood_of_it_refused",
            "{burst} free, then one a second",
        ),
        Clause(
            "R=1 twice, then R=0",
            "three tries on a connection",
            "ppp/auth/test_mschap_v2::test_two_retries_and_then_no_more",
            "{retries} retries",
        ),
        Clause(
            "constant-time compare",
            "`hmac.compare_digest` over the whole response",
            "ppp/auth/test_chap::test_the_whole_response_is_compared_in_constant_time",
        ),
        Clause(
            "unknown user and wrong password alike, in text and time",
            "the same message, and the same work: each answer works out one NT hash, if need be for nothing",
            "ppp/auth/test_chap::test_unknown_user_and_wrong_password_look_alike "
            "aio/test_server::test_every_wrong_try_is_the_same_work_and_the_same_answer "
            "ppp/auth/test_pap::test_the_work_is_the_same_whatever_is_known",
            "known {known} us, new {new} us, unknown {unknown} us",
        ),
    ),
    "5. Inner traffic": (
        Clause(
            "the source address is the assigned one (RFC 2827)",
            "one comparison for each packet",
            "test_session::test_a_source_that_is_not_the_clients test_a_client_takes_every_source_but_itself",
        ),
        Clause(
            "nothing to loop-back, multicast, or the server's own control port",
            "unless allowed; a tunnel inside the tunnel neither",
            "test_session::test_destinations_nobody_may_send_to test_a_tunnel_inside_the_tunnel "
            "test_inner_traffic::test_the_control_port_is_the_servers_own",
        ),
        Clause(
            "clients kept apart by option",
            "`--isolate`, by nftables",
            "net/test_nat::test_isolation_is_between_isolated_interfaces_alone",
        ),
        Clause(
            "packets over the MRU are answered, MSS is clamped",
            "ICMP fragmentation-needed, ten a second at most; SYN packets both ways",
            "test_session::test_a_packet_over_the_mru_is_answered_once_in_a_while "
            "net/test_nat::test_mss_is_clamped_in_both_directions",
        ),
    ),
    "6. Every negotiation ends": (
        Clause(
            "RFC 1661's counters",
            "Max-Configure, Max-Terminate, Max-Failure, and twice Max-Failure for the peer's Naks",
            "ppp/test_control_protocol::test_a_silent_peer_is_asked_ten_times_every_three_seconds "
            "test_two_that_insist_come_to_an_end test_the_peer_refusing_every_value_is_bounded",
        ),
        Clause(
            "and a wall clock",
            "from the first packet to the network phase; beginning anew gives nobody more of it",
            "ppp/test_link::test_a_negotiation_without_end_is_ended "
            "test_who_begins_anew_and_anew_has_no_more_time_for_it "
            "ppp/test_encryption::test_a_new_ccp_that_comes_to_nothing_ends_the_link",
            "{establish:.0f} s",
        ),
        Clause(
            "loop-back is found by the Magic-Number",
            "four collisions in a row",
            "ppp/test_link::test_a_looped_back_link "
            "ppp/test_lcp::test_a_loop_is_found_before_max_failure_takes_the_number_away",
        ),
        Clause(
            "option floods and options of no length",
            "one pass, a few calls for each option; a list with a bad length is discarded whole",
            "ppp/test_lcp::test_a_flood_of_options_costs_a_few_calls_for_each "
            "test_an_option_of_no_length_costs_the_same_whatever_follows",
            "{option_octets:,} octets: {option_flood} us; of no length {option_none} us",
        ),
        Clause(
            "buffers per connection",
            "all of them have a bound, and the sum is worked out from the code",
            "test_held::test_the_most_a_connection_holds test_and_the_interpreter_takes_little_more",
            "{connection:,} octets with {calls} calls, {call:,} for each",
        ),
    ),
    "7. Strings from the wire": (
        Clause(
            "escaped and cut in logs, JSON, terminal, control socket, hooks' environment and `decode`",
            "at the place where a string leaves the core",
            "test_hostile_strings::test_on_one_line_and_cut test_what_a_server_says_of_its_client "
            "test_what_a_client_says_of_its_server test_in_the_environment_of_a_program",
            "{strings} hostile strings in {ways} places, and from end to end; names to 64 characters, texts to 256",
        ),
    ),
    "8. Privileges": (
        Clause(
            "the server unprivileged, a small helper holds the network",
            "`--run-as`: TUN and GRE descriptors come over a socket; each request is judged by a table of rules",
            "netns/test_run_as::test_traffic_without_rights net/remote/test_allowed::test_what_goes_beyond_it "
            "test_every_method_of_an_edge_is_decided service/test_privileges::test_there_is_no_way_back",
        ),
        Clause(
            "no child inherits a descriptor",
            "none is inheritable, and each child is given what it needs by name",
            "service/test_hooks::test_nothing_of_ours_is_inherited "
            "service/test_launch::test_a_worker_inherits_two_sockets_and_no_signals "
            "netns/test_run_as::test_what_the_helper_has_open",
        ),
        Clause(
            "`systemd-analyze security`",
            "the unit allows little more than the two processes need",
            "packaging/test_units::test_how_far_it_is_locked_in",
            "under 3.0",
        ),
    ),
    "9. Crash safety": (
        Clause(
            "each change is in the journal before it is made",
            "one file for each process, under a lock that ends with it",
            "net/test_books::test_a_record_is_written_before_the_change_and_struck_out_after_it_is_taken_back "
            "net/test_journal::test_it_is_flushed test_cut_off_anywhere_the_whole_lines_stay",
        ),
        Clause(
            "after kill -9 or a second start everything is as it was",
            "the next start, or `pypptp undo`",
            "netns/test_undo::test_killed_ten_times_at_random test_a_killed_client_and_undo "
            "test_a_killed_server_and_the_next_start net/test_recovery::test_a_route_is_taken_back_exactly",
        ),
        Clause(
            "two at once do not take each other's changes away",
            "boot id, network namespace, pid and start time in every entry",
            "netns/test_undo::test_a_server_that_lives_keeps_forwarding_and_the_last_one_switches_it_off "
            "test_another_namespace_is_left_alone net/test_journal::test_every_entry_says_whose_it_is "
            "net/test_recovery::test_other_namespaces_and_living_owners_are_left_alone",
        ),
    ),
    "10. Secrets": (
        Clause(
            "never in logs, tracebacks or `repr`",
            "no object that holds one shows it, and errors name lines, not words",
            "test_secrets_unseen::test_fields_that_hold_a_password_are_left_out test_nothing_of_it_is_shown "
            "test_a_line_that_is_wrong_is_named_by_number",
        ),
        Clause(
            "nor in core dumps",
            "`RLIMIT_CORE` 0 and `PR_SET_DUMPABLE` 0, which also counts for programs in `core_pattern`",
            "service/test_secrecy::test_a_crash_leaves_no_core",
        ),
        Clause(
            "nor in files others can read",
            "a chap-secrets file that others can read is refused, as sshd does, unless `--allow-readable-secrets`",
            "auth/test_secret_file::test_only_its_owners "
            "service/test_edge_process::test_secrets_that_others_can_read "
            "netns/test_container::test_a_secret_that_was_mounted_for_everybody",
        ),
    ),
}
