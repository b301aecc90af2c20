// The functions that sessions live by, and those that read. Each call of one is a transaction, and one round trip.

// How long a request waits for others that write: longer than any line of usual ones, shorter than people's patience with a
// transaction that somebody has left open.
const LOCK_TIMEOUT = "SET lock_timeout = '5s'";

/** A function that is called from outside. */
export function callable(signature: string, returns: string, pinned: string, body: string): string {
  return `CREATE FUNCTION ${signature} RETURNS ${returns} LANGUAGE plpgsql ${pinned} ${LOCK_TIMEOUT} AS $body$ ${body} $body$;`;
}

/** An entry as far as the rule needs it, out of \`entries\` as e and its session as s; rows.ts reads it. */
export const PLACE = "e.position, e.claim, e.key, e.slots, e.durable, e.session, coalesce(NOT s.has_ended, false), e.revision";

/** Where {@link PLACE} comes from. */
export const PLACES = "entries e LEFT JOIN sessions s ON s.id = e.session";

const ENTRY = `jsonb_build_array(${PLACE}, e.lock, e.token, e.since, e.record)`;
const ARCHIVED = "jsonb_build_array(a.lock, a.sequence, a.ended_at, a.record)";
const DOCUMENT = "jsonb_build_array(d.name, d.value, d.revision)";

const listed = (what: string, order: string): string => `coalesce(jsonb_agg(${what} ORDER BY ${order}), '[]'::jsonb)`;

// A timeline has 2^40 revisions, and of timelines there are 2^13: all of these together a number of JavaScript can tell apart.
const REVISION_BITS = 40;
const MOST_TIMELINES = 8_192;

/** The timeline that a revision was given out on, counted from 0. */
export function timelineOf(revision: number): number {
  return Math.floor(revision / 2 ** REVISION_BITS);
}

export function sessionFunctions(pinned: string, channel: string): string {
  return `
-- Milliseconds since 1970 by the server's clock: now, not when the transaction began.
CREATE FUNCTION store_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $body$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$body$;

-- Which history of the server this is: promoting a standby, or restoring a backup, begins the next one.
CREATE FUNCTION timeline() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $body$
BEGIN
  RETURN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN
  -- A hosted server that does not say. Such have no standbys of ours.
  RETURN 1;
END $body$;

-- The next revision. Whoever has it keeps all other commits waiting until its own is visible. A promoted standby may lack the last
-- commits of its primary, so it goes on where no number was ever given out, and gives every session its whole time again: the
-- clock that it expires by is another one now.
CREATE FUNCTION draw() RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
  current bigint := timeline();
  last bigint;
  former bigint;
  drawn bigint;
BEGIN
  UPDATE counter SET revision = revision + 1 WHERE timeline = current RETURNING revision INTO drawn;
  IF FOUND THEN
    RETURN drawn;
  END IF;
  SELECT revision, timeline INTO STRICT last, former FROM counter FOR UPDATE;
  IF former = current THEN
    UPDATE counter SET revision = revision + 1 RETURNING revision INTO STRICT drawn;
    RETURN drawn;
  END IF;
  drawn := greatest(last + 1, (least(current, ${MOST_TIMELINES}) - 1) << ${REVISION_BITS});
  UPDATE counter SET revision = drawn, timeline = current;
  INSERT INTO promotions (start, base) VALUES (drawn, last);
  UPDATE sessions SET expires_at = store_ms() + timeout_ms WHERE NOT has_ended;
  RETURN drawn;
END $body$;

-- Ends the sessions whose time is up. Only here sessions end by themselves, so whoever has seen one as ended sees what stays so, whatever
-- clocks do. One that is being renewed or checked at this moment is passed over. Every call begins with this, and so also with a look
-- whether a standby has been promoted.
CREATE FUNCTION expire() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  ended text[];
BEGIN
  IF (SELECT c.timeline FROM counter c) <> timeline() THEN
    PERFORM draw();
  END IF;
  PERFORM FROM sessions WHERE NOT has_ended AND expires_at <= store_ms() LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  WITH due AS (
    SELECT id FROM sessions WHERE NOT has_ended AND expires_at <= store_ms() FOR UPDATE SKIP LOCKED
  ), marked AS (
    UPDATE sessions s SET has_ended = true FROM due WHERE s.id = due.id RETURNING s.id
  )
  SELECT array_agg(id) INTO ended FROM marked;
  PERFORM pg_notify('${channel}', 'l' || lock) FROM (SELECT DISTINCT lock FROM entries WHERE session = ANY (ended)) e;
EXCEPTION WHEN insufficient_privilege THEN
  -- Who may only look sees those as alive whom nobody else has seen since.
  RETURN;
END $body$;

${callable(
  "open_session(wanted_ms bigint)",
  "jsonb",
  pinned,
  `
DECLARE
  opened text := gen_random_uuid();
BEGIN
  PERFORM expire();
  -- Nobody depends on them any more, and nobody else may ever meet them.
  DELETE FROM sessions s WHERE s.has_ended AND NOT EXISTS (SELECT FROM entries e WHERE e.session = s.id);
  INSERT INTO sessions (id, timeout_ms, epoch, expires_at) VALUES (opened, wanted_ms, 0, store_ms() + wanted_ms);
  RETURN jsonb_build_object('id', opened, 'revision', (SELECT revision FROM counter));
END`,
)}

-- Whether the session lives. One whose owner has seen a revision that a promotion has lost does not: it may hold what is not there any more.
${callable(
  "renew(session text, at_epoch bigint, seen bigint[])",
  "boolean",
  pinned,
  `
BEGIN
  PERFORM expire();
  IF EXISTS (SELECT FROM promotions, unnest(seen) one WHERE one > base AND one < start) THEN
    UPDATE sessions SET has_ended = true WHERE id = session;
    RETURN false;
  END IF;
  UPDATE sessions SET epoch = greatest(epoch, at_epoch), expires_at = store_ms() + timeout_ms WHERE id = session AND NOT has_ended;
  RETURN FOUND;
END`,
)}
`;
}

export function readFunctions(pinned: string): string {
  const reading = (signature: string, question: string): string =>
    callable(signature, "jsonb", pinned, `BEGIN PERFORM expire(); RETURN (${question}); END`);
  return [
    // The revision is asked for after the places: it may be that of a later commit, never of an earlier one.
    callable(
      "line(of_lock text, of_refs bigint[])",
      "jsonb",
      pinned,
      `
DECLARE
  places jsonb;
BEGIN
  PERFORM expire();
  SELECT ${listed(`jsonb_build_array(${PLACE})`, "e.position")} INTO places
    FROM ${PLACES} WHERE e.lock = of_lock AND (of_refs IS NULL OR e.position = ANY (of_refs));
  RETURN jsonb_build_object('places', places, 'revision', (SELECT revision FROM counter));
END`,
    ),
    reading(
      "read(of_lock text, first bigint)",
      `SELECT ${listed(ENTRY, "e.position")} FROM (SELECT * FROM entries WHERE lock = of_lock ORDER BY position LIMIT first) e
       LEFT JOIN sessions s ON s.id = e.session`,
    ),
    reading("read_claim(of_claim text)", `SELECT ${listed(ENTRY, "e.lock, e.position")} FROM ${PLACES} WHERE e.claim = of_claim`),
    reading("locks()", `SELECT ${listed("e.lock", "e.lock")} FROM (SELECT DISTINCT lock FROM entries) e`),
    reading("ended_sessions()", `SELECT ${listed("s.id", "s.id")} FROM sessions s WHERE s.has_ended`),
    reading(
      "archived(of_lock text, page bigint, before bigint, among bigint)",
      `SELECT ${listed(ARCHIVED, "a.sequence DESC")} FROM (
         SELECT * FROM archive WHERE (of_lock IS NULL OR lock = of_lock) AND (before IS NULL OR sequence < before)
         AND sequence > coalesce((SELECT sequence FROM archive ORDER BY sequence DESC OFFSET among LIMIT 1), 0)
         ORDER BY sequence DESC LIMIT page) a`,
    ),
    callable(
      "trim_archive(of_lock text, keep bigint, oldest bigint)",
      "void",
      pinned,
      `
BEGIN
  DELETE FROM archive WHERE (of_lock IS NULL OR lock = of_lock) AND (ended_at < oldest OR sequence <= (
    SELECT a.sequence FROM archive a WHERE of_lock IS NULL OR a.lock = of_lock ORDER BY a.sequence DESC OFFSET keep LIMIT 1));
END`,
    ),
    reading("document(of_name text)", `SELECT ${DOCUMENT} FROM documents d WHERE d.name = of_name`),
    reading("documents(prefix text)", `SELECT ${listed(DOCUMENT, "d.name")} FROM documents d WHERE starts_with(d.name, prefix)`),
    // For those who watch: what has come, and when the next session's time is up.
    callable(
      "look()",
      "jsonb",
      pinned,
      `
BEGIN
  PERFORM expire();
  RETURN jsonb_build_object('at', store_ms(), 'revision', (SELECT revision FROM counter),
    'dueInMs', (SELECT min(expires_at) - store_ms() FROM sessions WHERE NOT has_ended));
END`,
    ),
  ].join("\n\n");
}
