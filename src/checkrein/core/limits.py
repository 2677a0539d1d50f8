"""Every limit of the gateway by name, with the reason beside it (invariant I9).

Sizes are bytes, times are seconds unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

# --- relay -----------------------------------------------------------------------------------
READ_CHUNK: Final = 256 * 1024
"""One read of a transport: large enough that a bulk result is few Python calls."""

PARKED_INPUT: Final = 64 * 1024
"""What a client may pipeline while its statement waits for a person or for the target; then reading pauses."""

WRITE_HIGH_WATER: Final = 1024 * 1024
"""Bytes queued to a slow peer before reading from the other side pauses."""

LOGIN_SECONDS: Final = 15.0
"""From accept to a finished login; a client that says nothing holds a slot no longer (PG-A32, GW-1)."""

DIAL_SECONDS: Final = 10.0
"""To connect to a target, its TLS handshake included."""

MAX_CONNECTIONS: Final = 10_240
"""Client connections a process holds, if its open files suffice; more are closed at once. An idle one that is logged in
takes some 25 kB before its first statement, and a cancel does not slow down with their number."""

SESSION_FILES: Final = 3
"""Open files of one session: its client, its target, its journal."""

SPARE_FILES: Final = 256
"""Open files kept for everything else (policies, store, control API, side links), which a crowd must not take away."""

SHUTDOWN_SECONDS: Final = 8.0
"""SIGTERM to forced close; the contract says that serve ends within ten."""

SIGNING_SECONDS: Final = 6.0
"""SIGTERM to the last journal that is still signed; the next start signs the others, each as its session ended."""

SIGNING_THREADS: Final = 8
"""Threads that compress and sign journals; they wait for the disk most of the time, which takes many at once."""

# --- statements ------------------------------------------------------------------------------
STATEMENT_BYTES: Final = 1024 * 1024
"""The longest statement text that is read; longer is refused unread."""

STATEMENT_IN_PROCESS_BYTES: Final = 8 * 1024
"""Above this a text is parsed in the killable worker: at 64 KiB a parse holds the loop 22-50 ms."""

STATEMENT_IN_PROCESS_TOKENS: Final = 2000
"""Above this many tokens likewise: depth follows tokens, and depth is what crashes parsers."""

STATEMENT_COPIED_CHARACTERS: Final = 1024 * 1024
"""Most characters that the tree of a text parsed in process may tell of, those told of repeatedly counted each time."""

STATEMENT_WORKER_SECONDS: Final = 5.0
"""Hard stop of one parse in the worker, queueing included; then it is killed and the statement refused."""

MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""One framed client message other than a bulk data chunk; longer ends the session (PG-A2)."""

PIPELINE_STATEMENTS: Final = 1000
"""Statements of one request, or unanswered exchanges of one pipeline, before it is refused."""

BREATHE_MESSAGES: Final = 16
"""Messages, or statements of one message, that a session deals with before others get their turn (5 ms at most)."""

PREPARED_STATEMENTS: Final = 4096
"""Named statements and portals that one session may hold."""

# --- answers ---------------------------------------------------------------------------------
CELL_BYTES: Final = 16 * 1024 * 1024
"""The longest single row that is owed a mask; it must be whole in memory to be re-framed."""

SAMPLE_BYTES: Final = 2 * 1024
"""Of an answer's rows, as the client got them, kept in the journal."""

SAMPLE_ROWS: Final = 5
"""Rows in that sample."""

WHOLE_ROW_BYTES: Final = 64 * 1024
"""Rows up to this long are passed on whole, so that a session that ends amid a result can say so in an error."""

HIDDEN_ROWS: Final = 65536
"""Rows of one hidden answer, to a question of the gateway's own on a session's link: more than any of them gives."""

HELD_BYTES: Final = 8 * 1024 * 1024
"""Rows of a hidden transaction held until COMMIT succeeded; more rolls back."""

# --- approvals -------------------------------------------------------------------------------
HOLD_SECONDS: Final = 50.0
"""How long the wire client is held when the policy does not say: below common client time-outs."""

EXPIRE_SECONDS: Final = 3600.0
"""How long a question stays open when the policy does not say."""

OPEN_APPROVALS: Final = 1000
"""Pending questions of one gateway, 20 of one principal; more are refused."""

OPEN_APPROVALS_PER_PRINCIPAL: Final = 20
"""See OPEN_APPROVALS."""

# --- recording -------------------------------------------------------------------------------
SEGMENT_BYTES: Final = 1024 * 1024
"""A journal segment is closed, compressed and signed over at this size."""

WORKER_BAR_SECONDS: Final = 30.0
"""How long nothing is parsed in the worker for a principal whose text had it killed."""

WORKER_MEMORY_BYTES: Final = 1024**3
"""Address space of the worker: a parse that wants more is killed, not the machine."""

EVENT_BYTES: Final = 256 * 1024
"""One journal event; a longer statement text is kept whole up to STATEMENT_BYTES, samples are cut."""

LINE_BYTES: Final = 8 * 1024 * 1024
"""One encoded line: a text of STATEMENT_BYTES, every byte escaped sixfold, and the rest of its event."""

SEGMENT_TAIL_BYTES: Final = 64 * 1024
"""What of a segment may be compressed on the data path as it closes (about 0.2 ms); more goes to the thread again."""

POLL_SECONDS: Final = 0.0001
"""How long the loop polls for more after input that is soon followed by more, before it sleeps."""

HANGUP_POLL_SECONDS: Final = 1.0
"""How often a client whose buffer is full is looked at for hang-up."""

CLOSE_SECONDS: Final = 5.0
"""How long a closing transport may take to write what was sent before it is aborted."""

SYNC_SECONDS: Final = 0.05
"""Until an event that nobody waits for is fsynced."""

LOGIN_REFUSALS_PER_SECOND: Final = 20
"""Refused logins recorded a second, five times that in a burst; the rest are counted: strangers fill no disk."""

INDEX_TERMS: Final = 5000
"""Distinct searchable values (texts, objects, rules) indexed of one session; past it a search reads the journal."""

INDEX_TEXT: Final = 2000
"""Characters of one statement text in the index; longer ones are found by reading the journal."""

SHOW_EVENTS: Final = 10_000
"""Events that one answer of `sessions show` holds; the next ones are asked for by sequence number."""

LIST_SESSIONS: Final = 10_000
"""Rows of one listing."""

# --- caches ----------------------------------------------------------------------------------
STATEMENT_CACHE: Final = 4096
"""Read statements kept per target and profile."""

VERDICT_CACHE: Final = 512
"""Verdicts kept per session; a driver repeats few statements."""

VERDICT_PARTS: Final = 2048
"""Parts (columns, uses, effects ...) of a statement whose verdict is kept: wider ones are judged anew each time."""

CATALOG_SECONDS: Final = 5.0
"""The oldest a cached catalog may be; docs/limits.md tells what that window leaves open."""

TOKEN_CACHE: Final = 10000
"""Verified tokens kept by hash until they expire."""

# --- policies --------------------------------------------------------------------------------
DOCUMENT_BYTES: Final = 1024 * 1024
"""One YAML file of policies or configuration."""

DOCUMENT_NODES: Final = 100_000
"""Values in one YAML document, aliases counted as often as they are used."""

DOCUMENT_DEPTH: Final = 40
"""Nesting of one YAML document; ours needs eight."""

POLICY_CANDIDATES: Final = 4096
"""Objects whose rules a view remembers; a client may name any number of objects."""

POLICY_VIEWS: Final = 1024
"""(principal, target, profile) triples whose rules a snapshot keeps prepared."""

# --- catalog ---------------------------------------------------------------------------------
CATALOG_ROWS: Final = 400_000
"""Rows of one catalog query (columns are the most): about 100 MB as a snapshot; a larger database's names concede."""

CATALOG_DEFINITION_BYTES: Final = 256 * 1024
"""The longest definition of one view that is looked through; a longer one is taken as unreadable."""

UNCOMMITTED_ROWS: Final = 20_000
"""Rows of the answer what an open transaction defined (up to ten a relation); beyond that its names concede."""

# --- identity --------------------------------------------------------------------------------
TOKEN_BYTES: Final = 16 * 1024
"""One token; real ones with many groups stay below 8 KiB, and it is read before anyone is known."""

TOKEN_KEYS_TRIED: Final = 8
"""Keys that one token without key id is tried against: a signature check costs 0.1 ms."""

CLOCK_SKEW_SECONDS: Final = 60.0
"""How far the issuer's clock and ours may differ for exp, nbf and iat."""

SESSION_GRACE_SECONDS: Final = 0.0
"""How long a session outlives its token: not at all, so that withdrawing someone's tokens ends their sessions."""

NAME_CHARACTERS: Final = 256
"""A subject, actor, group or issuer name; it stands in every event and in the target's own log."""

GROUPS: Final = 1000
"""Groups of one principal; a token with more is refused, not cut."""

ACTOR_DEPTH: Final = 8
"""Links of an actor chain (nested `act`)."""

RSA_BITS: Final = 2048
"""The shortest RSA key that verifies a token (NIST SP 800-131A)."""

JWKS_KEYS: Final = 100
"""Keys in one published key set."""

JWKS_BYTES: Final = 512 * 1024
"""One discovery or key set document."""

JWKS_FETCH_SECONDS: Final = 5.0
"""One fetch of such a document, connecting included; a login waits for it."""

JWKS_FRESH_SECONDS: Final = 300.0
"""After this a key set is fetched again at the next login."""

JWKS_STALE_SECONDS: Final = 24 * 3600.0
"""While the issuer is away its last key set is believed this long; then its logins are refused."""

JWKS_RETRY_SECONDS: Final = 10.0
"""Between two fetches of one issuer's keys for an unknown key id or after a failure: forged ids cost no more."""

SECRET_BYTES: Final = 64 * 1024
"""One secret file."""

# --- embedded issuer -------------------------------------------------------------------------
ISSUER_TOKEN_SECONDS: Final = 900.0
"""Lifetime of the embedded issuer's tokens where `ttl` says nothing: as short as a client that fetches anew bears."""

ISSUER_KEY_SECONDS: Final = 30 * 24 * 3600.0
"""Age at which its signing key is replaced; the old one stays published until its last token expired."""

ISSUER_REQUEST_BYTES: Final = 16 * 1024
"""One token request."""

API_CONNECTIONS: Final = 128
"""TCP connections of the control API at one time, half of SPARE_FILES; more are closed at once. The owner's socket has
no limit."""

API_REQUEST_SECONDS: Final = 10.0
"""For a request of the control API to arrive whole; a connection on which it does not is closed."""

API_REQUEST_BYTES: Final = 128 * 1024
"""The body of one request to the control API, read before its caller is known; the longest lists 1000 session ids."""

ISSUER_FAILURES: Final = 20
"""Failed token requests of one peer and client in ISSUER_FAILURE_SECONDS before it must wait."""

ISSUER_FAILURE_SECONDS: Final = 60.0
"""See ISSUER_FAILURES."""

ISSUER_LONG_SECRET: Final = 32
"""Bytes of a client secret that is not guessed: 128 bits in hex. Such a one is taken while its client must wait, so
that somebody at the same address who fails on purpose shuts nobody out."""

ISSUER_VARIED_SECRET: Final = 10
"""Different bytes in such a secret; 32 random hex digits have fewer once in a thousand times."""

ISSUER_PEERS: Final = 10_000
"""Peers whose failures are counted at once; the oldest are forgotten first."""

# --- PostgreSQL wire -------------------------------------------------------------------------
LOGIN_MESSAGE_BYTES: Final = 64 * 1024
"""One message of either login: a password message carries a token of at most TOKEN_BYTES, a server's error less."""

LOGIN_MESSAGES: Final = 1000
"""Messages of one login to a target, so that a hostile one cannot keep it going for ever."""

STARTUP_BYTES: Final = 10_000
"""A start-up packet; the server's own MAX_STARTUP_PACKET_LENGTH."""

SCRAM_ITERATIONS: Final = 100_000
"""The highest iteration count a target may ask of us: 4096 is usual, and a million costs half a second of the loop."""

ROW_COLUMNS: Final = 1664
"""Columns of one result set; the server's own MaxTupleAttributeNumber."""

MASK_MEMO: Final = 16384
"""Masked values remembered per column (4 MB), so that repeated values cost one dictionary look-up."""

MASK_MEMO_BYTES: Final = 256
"""Longer values are not remembered; they rarely repeat and would hold memory."""

VALUE_DEPTH: Final = 2
"""Levels of arrays and composites whose elements detectors read one by one."""

COPY_REMAINDER: Final = 16 * 1024 * 1024
"""Of a COPY row that is split over frames, what is kept until its end arrives."""

SIDE_ANSWER_BYTES: Final = 256 * 1024 * 1024
"""All rows of one question over a side link; a catalog of 100,000 columns takes 10 MiB."""

# --- masking ---------------------------------------------------------------------------------
MASK_SCANNERS: Final = 512
"""Scanners kept, one per duty set and principal; a scanner is small and shares its compiled patterns."""

DETECTOR_SETS: Final = 32
"""Compiled sets of detectors kept; compiling one takes tens of milliseconds and about a megabyte."""

STAGE_ONE_REPORTS: Final = 16384
"""Matches that one scan looks at before it takes everything for suspicious: each costs a call, and a hostile value of a
megabyte may hold half a million."""

MASK_NAMES: Final = 4096
"""Column and key names whose context is remembered; keys of JSON come from the data."""

# --- reading ---------------------------------------------------------------------------------
READING_DEPTH: Final = 1200
"""Expressions and queries inside one another; deeper concedes: a compiled build walks on the C stack."""

READING_TARGETS: Final = 1664
"""Columns of one target list, stars spelt out: the most that PostgreSQL's rows have (MaxTupleAttributeNumber)."""

READING_SPELT: Final = 50_000
"""Columns that all stars of a statement, within one another, stand for; more concede: they may double at each level."""

READING_EFFECTS: Final = 20_000
"""Effects of one statement, those of views and partitions included; more concede."""

READING_VIEWS: Final = 16
"""Views inside views that are looked through."""

READING_POSITIONED_BYTES: Final = 64 * 1024
"""Longer texts get no positions: counting characters up to each would take time by the square of their length."""

READING_VIEWS_KEPT: Final = 4096
"""Read definitions kept, over all catalogs."""

READING_OPERATORS_KEPT: Final = 8192
"""Operators whose meaning for given operand types is kept; about 300 bytes each."""

READING_TREE_BYTES: Final = 2 * 1024 * 1024
"""A parse tree as JSON; a larger one takes longer to decode than the loop may be held."""

READING_FAMILY: Final = 2000
"""Partitions, children and parents of one relation that are followed; more concede."""

READING_CATALOGS: Final = 64
"""Catalog versions of which referenced columns are kept."""

READING_PARTS: Final = 400_000
"""Parts (columns, uses, effects ...) of all kept readings together, some tens of MiB: wide ones count for many."""

READING_SPACES: Final = 1024
"""Catalog versions and meanings of names told apart at once; then all is forgotten."""

READING_SHAPE_CHARACTERS: Final = 2048
"""Longer texts are kept by exact text alone: they rarely come again with other numbers."""
