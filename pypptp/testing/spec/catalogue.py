"""The 144 checks: id, level and section, what is sent (``?``) and what is expected (``=``).

Levels: MUST and SHOULD are the standard's, ROBUST is what an attack or a fault must not do, POLICY is what this project
holds a PPTP peer to beyond the standards, INFO only reports.

The list this began with was held against the RFCs. What was wrong there is right here:

* cc/2.1/2 was MUST and wanted result 5. Everything about versions in RFC 2637 section 3.1.2 is SHOULD, and a receiver
  older than its peer SHOULD answer in its own version and go on. Both are taken.
* cc/2.1/3 named section 1.4; that reserved fields leave room for extensions is said in section 2.
* cc/2.3/1 was MUST; section 3.1.2 makes both the reply and the close a SHOULD.
* cc/2.3/3 was MUST; no standard speaks of a reply nobody asked for. It is a matter of robustness.
* cc/2.12/1: that Call-Disconnect-Notify follows is a SHOULD of section 3.2.4.1, so its absence is NONSTRICT; which call
  id it carries is a MUST.
* lcp/4.6/1: section 4.1 makes retransmission a MUST, the three seconds and ten times of 4.6 are defaults (SHOULD).
* lcp/5.6/1: Identification is RFC 1570 section 1.1, not 2.1.
* lcp/5.8/2 was MUST; RFC 1661 section 5.8 says SHOULD.
* auth/chap/3: repeated Responses are in RFC 1994 section 4.1, not 4.2.
* ipcp/7/1 was MUST; RFC 1661 section 4.1 has Terminate-Ack for a Configure-Request in state Closed. To defer it is what
  peers that begin so need.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How much a check weighs."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    ROBUST = "ROBUST"
    POLICY = "POLICY"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Entry:
    """One check as the catalogue has it.

    Attributes:
        id: ``cc/2.1/1``: room, section or topic, number.
        reference: the standard and its section.
        level: how much it weighs.
        stimulus: what is sent or done.
        expected: what the target should do.
    """

    id: str
    reference: str
    level: Level
    stimulus: str
    expected: str


_TEXT: Final = r"""
cc/2.1/1 MUST RFC 2637 2.1, 2.2
  ? SCCRQ v1.0, all fields valid
  = SCCRP, length 156, cookie, version 0x0100, result 1, error 0, reserved fields zero

cc/2.1/2 SHOULD RFC 2637 2.2, 3.1.2
  ? SCCRQ with protocol version 0x0200
  = SCCRP carrying 0x0100: result 5 (version not supported) and close, or, as 3.1.2 has it, established in the version
    of the reply

cc/2.1/3 SHOULD RFC 2637 2
  ? SCCRQ with non-zero reserved0/reserved1
  = accepted (reserved ignored on receipt)

cc/2.1/4 SHOULD RFC 2637 2.1
  ? SCCRQ with 64-byte host/vendor strings without NUL, with binary garbage (seen in asleap capture)
  = accepted; strings escaped in logs and API

cc/2.1/5 MUST RFC 2637 3.1.2
  ? second SCCRQ on the same, already established connection
  = SCCRP result 3 or 2, or ignored; never a second established state, existing call unharmed

cc/2.1/6 MUST RFC 2637 3.1
  ? OCRQ (or any call message) before SCCRQ
  = not answered with success; connection closed or message ignored; no call id allocated

cc/1.4/1 MUST RFC 2637 1.4
  ? wrong magic cookie in first message
  = TCP connection closed at once, nothing sent after

cc/1.4/2 MUST RFC 2637 1.4
  ? wrong cookie after established (loss of sync)
  = TCP closed, all its calls torn down, GRE for them dropped

cc/1.4/3 MUST RFC 2637 1.4
  ? length field 0, 1, 11 (< header 12)
  = TCP closed within 1 s; no stall (accel-ppp 2ad648c3 stalled)

cc/1.4/4 ROBUST RFC 2637 1.4
  ? length 65535 and then nothing
  = closed or timed out; buffered bytes bounded (<= 4 KiB per connection)

cc/1.4/5 ROBUST RFC 2637 1.4
  ? valid type, length shorter than that type needs (e.g. OCRQ length 16; SCCRQ length 12) - FreeBSD D57383 class
  = rejected (error 2 bad-format or close); never parsed past length

cc/1.4/6 SHOULD RFC 2637 1.4
  ? length longer than the type needs by 4..64 bytes
  = trailing bytes ignored or closed; framing stays in step with the declared length

cc/1.4/7 SHOULD RFC 2637 1.4
  ? message type 2 (management) and 0
  = ignored or closed, never treated as control

cc/1.4/8 SHOULD RFC 2637 1.4
  ? unknown control message type 99 with correct framing
  = ignored, connection stays up

cc/1.4/9 MUST RFC 2637 1.4
  ? SCCRQ delivered one byte per TCP segment
  = identical answer to cc/2.1/1

cc/1.4/10 MUST RFC 2637 1.4
  ? SCCRQ+OCRQ+Echo-Request in one segment
  = three answers in order

cc/1.4/11 ROBUST RFC 2637 1.4
  ? client never reads while 10,000 Echo-Requests are sent
  = server memory bounded; after reading resumes messages are whole and in step (accel-ppp 5ca46e28 truncated)

cc/2.3/1 SHOULD RFC 2637 2.3, 2.4, 3.1.2
  ? Stop-Control-Connection-Request reason 1
  = StopCCRP result 1, TCP closed, calls cleared

cc/2.3/2 SHOULD RFC 2637 2.3
  ? StopCCRQ with unknown reason 200
  = StopCCRP and close

cc/2.3/3 ROBUST RFC 2637 2.4
  ? unsolicited StopCCRP
  = no crash; close or ignore

cc/2.5/1 MUST RFC 2637 2.5, 2.6
  ? Echo-Request id 0xdeadbeef
  = Echo-Reply same identifier, result 1, length 20

cc/2.5/2 SHOULD RFC 2637 2.6
  ? Echo-Reply with wrong or unsolicited identifier
  = not counted as life sign for the outstanding request; connection stays

cc/2.5/3 SHOULD RFC 2637 3.1.4
  ? silence after establishment
  = Echo-Request within 60 s (configurable; test uses a short setting)

cc/2.5/4 SHOULD RFC 2637 3.1.4
  ? no Echo-Reply for a further 60 s
  = connection and its calls closed

cc/2.5/5 ROBUST RFC 2637 3.1.4 / CVE-2022-23270
  ? flood of 100,000 Echo-Requests then RST
  = no crash, no leak, other sessions unaffected

cc/3.1/1 POLICY RFC 2637 3.1.4
  ? TCP connect and send nothing (slowloris)
  = closed within the start timeout (<= 60 s; accel-ppp default 5 s)

cc/3.1/2 POLICY RFC 2637 3.1.4
  ? one byte every 10 s of an SCCRQ
  = total start deadline applies, not per-byte

cc/3.1/3 POLICY RFC 2637 3.1
  ? N+1 connections from one address where limit is N
  = refused (SCCRP result 4 or close); existing ones keep working

cc/3.1/4 SHOULD RFC 2637 3.1.3
  ? initiation collision between same pair
  = one connection survives as by the higher-address rule, or both independent; no deadlock

cc/2.7/1 MUST RFC 2637 2.7, 2.8
  ? OCRQ valid
  = OCRP length 32, peer call id echoed, own call id, result 1, error 0, window >= 1

cc/2.7/2 SHOULD RFC 2637 2.7
  ? OCRQ window 0 (MS-PTPT says Windows may send 0) and 65535
  = accepted; window 0 treated as >= 1, no stall

cc/2.7/3 SHOULD RFC 2637 2.7
  ? OCRQ min bps > max bps
  = OCRP result 2 error 3 (bad value) or accepted; never crash

cc/2.7/4 SHOULD RFC 2637 2.7
  ? phone length 200 (> 64)
  = bad value or clipped to 64; no over-read

cc/2.7/5 MUST RFC 2637 2.7, 3.2.2
  ? second OCRQ on a server that supports one call per connection
  = OCRP result 4/7 or 2 error 4 with the new peer call id; first call unharmed

cc/2.7/6 MUST RFC 2637 3.2.2
  ? OCRQ reusing a live peer call id
  = refused; first call unharmed

cc/2.7/7 POLICY RFC 2637 3.2.2
  ? 1,000 calls set up and cleared
  = own call ids are not sequential or time-derived, never reused while live, no id 'leak' (65,536-call churn passes)

cc/2.8/1 MUST RFC 2637 2.8
  ? (client under test) server answers OCRP result 2..7
  = client reports the result code by name, closes, exit status non-zero

cc/2.8/2 MUST RFC 2637 2.8
  ? (client) OCRP with a peer call id that was not asked for
  = ignored or closed, not bound

cc/2.9/1 SHOULD RFC 2637 2.9, 2.10
  ? ICRQ to a PNS-only or PAC-only server
  = ICRP result 3 (do not accept), length 24

cc/2.12/1 MUST RFC 2637 2.12, 2.13, 3.2.4.1
  ? Call-Clear-Request with the caller's call id
  = CDN length 148, call id = server's call id in right byte order (accel-ppp d76b2f6c), result 4 (Windows RRAS really
    sends 0), PPP torn down

cc/2.12/2 MUST RFC 2637 2.12
  ? Call-Clear-Request for unknown call id
  = no crash, no other call cleared (CVE-2021-42870 class)

cc/2.12/3 ROBUST RFC 2637 2.12
  ? Call-Clear-Request before the OCRQ was answered, and twice
  = one CDN at most, no double free of pool address or call id

cc/2.13/1 MUST RFC 2637 2.13
  ? (client) CDN received
  = client tears PPP down, reports result/cause

cc/2.14/1 SHOULD RFC 2637 2.14
  ? WAN-Error-Notify for live and unknown call
  = counted/ignored, connection stays

cc/2.15/1 MUST RFC 2637 2.15
  ? Set-Link-Info for live call, ACCM 0xffffffff/0
  = accepted silently; no reply

cc/2.15/2 SHOULD RFC 2637 2.15
  ? Set-Link-Info for unknown call id, non-zero reserved (seen in nDPI capture: 0xa196)
  = ignored, stays up

cc/2.16/1 SHOULD RFC 2637 2.16
  ? message with general error code set and result != 2
  = error code only read when result is 2

cc/tcp/1 MUST RFC 2637 3.1
  ? TCP RST / FIN mid-call
  = call, TUN address and call id released within 1 s; GRE then dropped

gre/4.1/1 MUST RFC 2637 4.1
  ? frame from the DUT
  = C=0 R=0 K=1 s=0 Recur=0 Flags=0 Ver=1, proto 0x880B, key low = peer's call id, payload length exact

gre/4.1/2 MUST RFC 2637 4.1
  ? first data frame sent by the DUT on a call
  = sequence 0 (1 is NONSTRICT: Linux pptp.ko and pptp-linux do so), then +1 per payload frame; ack-only frames carry
    no S bit and do not consume numbers

gre/4.1/3 MUST RFC 2637 4.1
  ? version 0, protocol 0x0800, K=0, C=1, R=1 (5 cases)
  = silently dropped, counted

gre/4.1/4 ROBUST RFC 2637 4.1
  ? header truncated at every length 0..15
  = dropped, no exception (pptp-linux computes an unsigned underflow here)

gre/4.1/5 ROBUST RFC 2637 4.1
  ? payload length > bytes present; payload length < bytes present (Ethernet padding)
  = first dropped, second uses the declared length only

gre/4.1/6 MUST RFC 2637 4.1
  ? S set with payload length 0; A only
  = treated as ack only / empty; no PPP delivery

gre/4.1/7 POLICY RFC 2637 4.1
  ? right call id from a source address other than the control connection's peer
  = dropped and counted (Windows default does not check: ValidateAddress=0)

gre/4.1/8 POLICY RFC 2637 4.1
  ? all 65,536 call ids tried from a foreign address
  = none delivered; session unharmed; CPU per packet bounded

gre/4.1/9 MUST RFC 2637 4.1
  ? frames for a call id after CDN
  = dropped

gre/4.3/1 MUST RFC 2637 4.3
  ? seq 0,2,1,3
  = PPP sees in-order frames (buffered) or 0,2,3 with 1 dropped; never 0,2,1

gre/4.3/2 MUST RFC 2637 4.3
  ? duplicate sequence number
  = second copy dropped, MPPE state unchanged

gre/4.3/3 SHOULD RFC 2637 4.3
  ? gap that is never filled
  = delivery resumes within the reorder timeout (<= 1 s)

gre/4.3/4 ROBUST RFC 2637 4.3
  ? single frame with seq far ahead (+2^20) then normal ones
  = session not wedged: normal frames flow again; reorder buffer bounded

gre/4.3/5 MUST RFC 2637 4.1
  ? wrap 0xfffffffe,0xffffffff,0,1
  = all delivered

gre/4.2/1 MUST RFC 2637 4.2, 4.4
  ? DUT sends while its window is closed and no acks come
  = resumes after adaptive time-out; never retransmits payload; never stops for good

gre/4.2/2 MUST RFC 2637 4.1, 4.3
  ? receive 20 frames without sending data
  = an ack (piggybacked or bare) within 500 ms covering the highest number received

gre/4.2/3 ROBUST RFC 2637 4.2
  ? ack for a number never sent (future ack), ack going backwards
  = ignored; window not inflated

gre/4.4/1 INFO RFC 2637 4.4.1
  ? RTT 10 ms / 500 ms
  = time-out adapts; reported

lcp/4.1/1 MUST RFC 1661 4.1, 5.1
  ? link up
  = Configure-Request sent at once, options valid, magic non-zero, FF03 uncompressed

lcp/4.6/1 MUST RFC 1661 4.1, 4.6
  ? no answer to Configure-Request
  = resent every 3 s (configurable), at most 10 times, then down

lcp/4.6/2 MUST RFC 1661 4.6
  ? peer Naks the same value for ever
  = after Max-Failure (5) DUT Rejects or gives up; total time bounded (never-converging negotiation)

lcp/5.1/1 MUST RFC 1661 5.1
  ? Configure-Request with id X
  = answer with id X, code 2/3/4

lcp/5.1/2 ROBUST RFC 1661 5
  ? LCP Length field 0..3, > packet, < packet
  = 0..3 and > packet: silently discarded; < packet: padding ignored

lcp/6/1 ROBUST RFC 1661 6
  ? option length 0, 1, beyond packet (first, middle, last)
  = whole packet discarded or Nak; CPU < 10 ms (no endless loop)

lcp/6/2 ROBUST RFC 1661 6
  ? same option 200 times; 1,480-byte option list
  = answered or discarded once; reply <= peer MRU

lcp/5.2/1 MUST RFC 1661 5.2
  ? Configure-Ack wrong id; options reordered; option value changed; option missing
  = discarded; LCP not Opened

lcp/5.3/1 MUST RFC 1661 5.3
  ? Configure-Nak wrong id, or for option never asked
  = wrong id discarded; extra option may be added or ignored

lcp/5.4/1 MUST RFC 1661 5.4
  ? unknown option 0x77 among good ones
  = Configure-Reject with only that option, byte-identical, original order

lcp/5.4/2 MUST RFC 1661 5.4
  ? peer rejects Magic-Number, ACFC, PFC
  = next request omits them

lcp/5.4/3 POLICY RFC 1661 5.4 / RFC 1661 6.2
  ? peer Rejects or Naks-to-PAP the Authentication-Protocol of a server that requires MS-CHAPv2
  = link terminated, no network phase (downgrade)

lcp/5.5/1 MUST RFC 1661 5.5
  ? Terminate-Request in Opened
  = Terminate-Ack same id, NCPs down, then lower layer down

lcp/5.5/2 MUST RFC 1661 4.1
  ? unsolicited Terminate-Ack in Opened
  = renegotiation (new Configure-Request) or down; no traffic in between

lcp/5.5/3 MUST RFC 1661 4.6
  ? DUT closes, peer silent
  = 2 Terminate-Requests, then down

lcp/5.6/1 MUST RFC 1661 5.6 / RFC 1570 1.1
  ? LCP code 12 (Identification, sent by all Windows clients) and code 200
  = Identification accepted or Code-Reject, 200 Code-Reject, id changes each time; link stays

lcp/5.6/2 MUST RFC 1661 4.3
  ? Code-Reject of Configure-Request (code 1)
  = RXJ-: link closed, not looping

lcp/5.7/1 MUST RFC 1661 5.7
  ? unknown PPP protocol 0x1234 after Opened
  = Protocol-Reject, truncated to peer MRU, new id each

lcp/5.7/2 MUST RFC 1661 5.7
  ? Protocol-Reject of LCP 0xc021
  = link closed

lcp/5.7/3 MUST RFC 1661 5.7
  ? Protocol-Reject of IPV6CP / CCP (when MPPE not required) / IPCP
  = that NCP stops; link stays if another NCP lives; with MPPE required CCP reject => terminate

lcp/5.7/4 MUST RFC 1661 5.7
  ? Protocol-Reject before Opened; unknown protocol before Opened
  = silently discarded; no Protocol-Reject sent

lcp/5.8/1 MUST RFC 1661 5.8
  ? Echo-Request in Opened with peer's magic
  = Echo-Reply same id, own magic, data echoed, <= peer MRU (accel-ppp c08fbb86)

lcp/5.8/2 SHOULD RFC 1661 5.8
  ? Echo-Request before Opened
  = discarded

lcp/5.8/3 SHOULD RFC 1661 5.8
  ? no Echo-Reply for N intervals
  = link closed, resources released

lcp/6.4/1 MUST RFC 1661 6.4
  ? magic 0; same magic as DUT's (loopback), 20 rounds
  = Nak with other value; loop detected and link closed, no endless exchange

lcp/6.1/1 MUST RFC 1661 6.1
  ? MRU 0, 3, 64, 1400, 4091 (Windows), 65535
  = small: Nak; others Ack; DUT never sends > negotiated MRU, always accepts 1500

lcp/6.5/1 MUST RFC 1661 6.5, 6.6
  ? PFC/ACFC negotiated
  = accept both forms; LCP always sent FF03 + 2-octet protocol

lcp/6.5/2 ROBUST RFC 1661 2
  ? empty payload, 1 byte, odd/even protocol octets (LSB rule)
  = dropped/Protocol-Reject, no exception

lcp/13/1 SHOULD RFC 1570 2.3 / CBCP
  ? Callback option (13, op 6), MRRU (17), Endpoint-Discriminator (19) as Windows sends
  = Configure-Reject of 13/17(/19) and the session continues

auth/phase/1 MUST RFC 1661 3.5
  ? IPCP, CCP or IPv4 data before authentication completes
  = discarded; no address given; nothing reaches TUN

auth/phase/2 MUST RFC 1661 3.5 / RFC 1334 2.2.1
  ? PAP request while MS-CHAPv2 was negotiated; CHAP packets during LCP phase
  = silently discarded

auth/pap/1 POLICY RFC 1334 2.2.1 / CVE-2026-55706
  ? PAP with zero-length name and password; prefix of the right password; length > packet
  = refused / discarded (length-confusion bypass)

auth/chap/1 MUST RFC 1994 4.1
  ? Challenge from DUT
  = >= 16 random octets, different for 1,000 sessions, new id

auth/chap/2 MUST RFC 1994 4.1
  ? Response with wrong id
  = discarded; right id afterwards still accepted

auth/chap/3 MUST RFC 1994 4.1
  ? Success/Failure lost (peer repeats same Response)
  = same verdict repeated, not a new verdict, not counted as new failure

auth/chap/4 ROBUST RFC 1994 4.1
  ? value-size 0, 255, > packet; name 0 and 1,400 bytes; NUL, CR LF, ESC in name
  = discarded or Failure; log line stays one line, escaped

auth/msv2/1 MUST RFC 2759 4, 5
  ? Response value size 49 right password
  = Success "S=" + 40 upper-case hex [+ " M=..."], equals vectors.json

auth/msv2/2 MUST RFC 2759 4
  ? value size 48, 50, 16; flags octet non-zero; reserved 8 octets non-zero
  = size wrong: Failure; flags/reserved ignored as RFC says or Failure, documented

auth/msv2/3 MUST RFC 2759 6
  ? wrong password
  = Failure "E=691 R=0/1 C=<32 hex> V=3 M=..."; retry limit enforced; failure delay / rate limit across connections

auth/msv2/4 MUST RFC 2759 8.2
  ? user DOMAIN\user
  = hash uses the part after the last backslash; account lookup policy documented; FreeRADIUS/john vectors pass

auth/msv2/5 POLICY RFC 2759 8.2
  ? name on wire differs in case / domain from the account ("User","user","A\user","B\user")
  = one documented mapping; no second account reachable, no lockout bypass

auth/msv2/6 MUST RFC 2759 5, 8.8
  ? (client) Success with wrong S=, missing S=, lower-case S=, S= reflected from own response
  = wrong/missing: client terminates; case-insensitive accept allowed

auth/msv2/7 POLICY RFC 2759 3
  ? (client) server sends the client's own earlier challenge back / authenticator challenge equal to peer challenge;
    two-way auth reflection
  = client does not answer its own challenge; peer challenge always fresh

auth/msv2/8 POLICY RFC 2759 10
  ? unknown user vs wrong password
  = same code, same text, time difference < 5 %

auth/msv2/9 POLICY RFC 2433 / RFC 2759
  ? peer Naks to MS-CHAPv1 (0x80), MD5 (0x05), PAP, EAP
  = refused unless enabled; a client never answers PAP/v1 by default

ccp/2/1 SHOULD RFC 3078 2.1
  ? CCP ConfReq option 18 with 0x010000e1 (H M S L C)
  = Nak to exactly one strength +H (0x01000040 when 128 required), Ack of that

ccp/2/2 POLICY RFC 3078 2
  ? peer offers 0x01000020 (40-bit) or 0x01000000 / Rejects MPPE when 128 is required
  = LCP terminated with a reason; IPCP never Opened, no clear data

ccp/2/3 MUST RFC 3078 2
  ? two strength bits in one Ack; option length 5/7; supported-bits 0
  = Nak/Reject, no key derived; bits 0 accepted only when MPPE is not required

ccp/2/4 SHOULD RFC 1962
  ? BSD (21), Deflate (26), Stac (17), MPPC bit C
  = Configure-Reject / Nak without C; no decompressor reachable (zip bomb)

ccp/3/1 POLICY RFC 1962 3.1
  ? Reset-Request x 10,000 in stateless mode; forged Reset-Ack
  = no rekey, replies rate-limited; no keystream reuse

ccp/3/2 MUST RFC 3078 7.2, 8.2
  ? stateful mode: lose packet n
  = Reset-Request sent once, discards until FLUSHED, then resynchronised (vectors.json sequences)

ccp/4/1 MUST RFC 1661 4.1
  ? CCP Terminate-Request after Opened with MPPE required
  = link terminated; never continues in clear

mppe/3/1 MUST RFC 3078 3.1
  ? first frames sent by DUT
  = protocol 0x00FD, header 0x9000+cc in stateless mode, cc starts at 0, +1 per frame

mppe/3/2 MUST RFC 3078 3.1
  ? frame without D (encrypted) bit; stateless frame without A (flushed)
  = dropped, not delivered as plain

mppe/3/3 POLICY RFC 3078 / policy
  ? clear IPv4 (0x0021), IPv6 (0x0057) or other data protocol after MPPE is up
  = dropped and counted; never reaches TUN

mppe/3/4 MUST RFC 3078 3
  ? LCP, CHAP, CCP, IPCP sent encrypted inside 0x00FD; NCP inside MPPE
  = LCP-range (0xC021..) inside MPPE dropped; documented rule for NCPs

mppe/7/1 MUST RFC 3078 7.3, RFC 3079 3.4
  ? 4,200 frames (wraps 4095->0)
  = all decrypt, equals vectors.json

mppe/8/1 MUST RFC 3078 8.1
  ? lose 1, 100, 2,000 frames
  = next frame decrypts

mppe/8/2 MUST RFC 3078 8.1
  ? late frame (GRE sequence and count lower) and duplicate
  = dropped AND following frames still decrypt (lwIP 3d896ba0 fails this)

mppe/8/3 POLICY RFC 3078 8.1
  ? forged frame with cc +2,000 and random bytes
  = state not committed unless the plaintext is plausible and the key changes are no more than the GRE sequence jump;
    genuine next frame still decrypts; CPU per forged frame bounded

mppe/8/4 POLICY RFC 3078 9
  ? bit-flipped ciphertext
  = inner packet with bad IP header dropped; counted (no integrity: documented)

mppe/9/1 MUST RFC 3079 3
  ? keys of two directions, two sessions, two users
  = all different; client send = server receive

ipcp/3.3/1 MUST RFC 1332 3.3
  ? IP-Address 0.0.0.0
  = Nak with a pool address; Ack when asked again

ipcp/3.3/2 POLICY RFC 1332 3.3
  ? peer asks for gateway's, another user's, broadcast, loopback, multicast address
  = Nak; never Ack

ipcp/3.3/3 MUST RFC 1332 3.3
  ? pool exhausted
  = IPCP refused with a reason, earlier sessions unharmed, address returned on every exit path

ipcp/1877/1 MUST RFC 1877 1.1-1.4
  ? DNS 129/131, WINS 130/132 with 0.0.0.0
  = Nak with configured servers; Reject those not configured

ipcp/3.2/1 SHOULD RFC 1332 3.2
  ? VJ compression (2), IP-Addresses (1), mobile-IPv4 (4), option 144
  = Configure-Reject

ipcp/5/1 MUST RFC 1661 3.6
  ? IPCP Terminate-Request
  = Ack; NCP closed; LCP not necessarily; no data until reopened

ipcp/6/1 SHOULD RFC 5072
  ? IPV6CP when not supported
  = Protocol-Reject; IPv4 session goes on (accel-ppp issue 57)

ipcp/7/1 POLICY RFC 1661 3.6, 4.1
  ? IPCP before CCP finishes while MPPE is required (Windows, MikroTik order)
  = deferred without Terminate-Ack (accel-ppp issue 353), then completes

data/1 POLICY policy (RFC 2827)
  ? inner packet with a source address that is not the assigned one; inner IPv6 with IPv4 only
  = dropped and counted

data/2 POLICY policy
  ? inner packet to another client's address with client isolation on; to server's own services
  = as configured; default documented

data/3 ROBUST RFC 791
  ? inner IPv4 with IHL < 5, total length > or < payload, fragment overlap, 0-byte packet
  = dropped or passed untouched; never an exception

data/4 MUST RFC 1661 6.1
  ? packet of MRU, MRU-4, MRU+1 each way; TCP MSS
  = no loss up to MRU; bigger ones get ICMP frag-needed or MSS clamp

data/5 MUST RFC 2637
  ? 20,000 packets each way under 1 % loss, 1 % duplication, 1 % reordering of GRE by a proxy that counts
  = inner packets lost beyond those the proxy dropped <= 0.1 %, duplicates 0, session alive

life/1 MUST all
  ? server stop (SIGTERM) with 100 sessions
  = each gets LCP Terminate, CDN/StopCCRQ; TUN, routes, addresses, raw sockets gone; exit 0 within 10 s

life/2 MUST all
  ? 1,000 connect/authenticate/disconnect cycles
  = open fds, tasks, pool addresses, call ids and RSS (+-5 %) return to the start values

life/3 POLICY all
  ? authentication failures, 1,000 from one address
  = rate limited; others unaffected; log lines bounded
"""


def _read(text: str) -> dict[str, Entry]:
    entries = {}
    for paragraph in text.strip().split("\n\n"):
        head, _, body = paragraph.partition("\n")
        check_id, level, reference = head.split(" ", 2)
        stimulus, _, expected = body.partition("\n  = ")
        entries[check_id] = Entry(check_id, reference, Level(level), _join(stimulus[4:]), _join(expected))
    return entries


def _join(lines: str) -> str:
    return " ".join(lines.split())


CATALOGUE: Final = _read(_TEXT)
"""Every check by its id, in order."""
