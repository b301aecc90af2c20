// A commit as a function of the database: looks first whether every step can be done, and then does them. So a refusal leaves nothing to
// undo. What each step means is said in the queue's store.ts; the memory store's steps.ts is the same in TypeScript.
import { callable, PLACE, PLACES } from "./functions.js";

const ENTRY_OF_STEP = "e.lock = step ->> 'lock' AND e.position = (step ->> 'ref')::bigint";

export function commitFunctions(pinned: string, channel: string): string {
  // An entry, a lock as a whole, or a lock of which nothing that was there is another than before; a document.
  const tell = (kind: "e" | "l" | "n" | "d", name: string): string => `PERFORM pg_notify('${channel}', '${kind}' || ${name})`;
  return `
-- Whether a session lives in this epoch. It can neither end nor come into another one before this transaction is over.
CREATE FUNCTION lives_in(session jsonb) RETURNS boolean LANGUAGE plpgsql AS $body$
BEGIN
  PERFORM FROM sessions s WHERE s.id = session ->> 'id' AND s.epoch = (session ->> 'epoch')::bigint AND NOT s.has_ended FOR SHARE;
  RETURN FOUND;
END $body$;

-- Why a step cannot be done; NULL where it can.
CREATE FUNCTION refusal_of(step jsonb) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
  found_entry entries%ROWTYPE;
BEGIN
  CASE step ->> 'do'
  WHEN 'append' THEN
    IF NOT lives_in(step -> 'session') THEN
      RETURN 'no-session';
    END IF;
    PERFORM FROM entries e WHERE e.lock = step ->> 'lock' AND e.claim = step ->> 'claim';
    RETURN CASE WHEN FOUND THEN 'exists' END;
  WHEN 'put', 'remove' THEN
    SELECT * INTO found_entry FROM entries e WHERE ${ENTRY_OF_STEP} AND e.claim = step ->> 'claim';
    IF NOT FOUND THEN
      RETURN 'gone';
    END IF;
    IF (step ->> 'settles')::boolean THEN
      RETURN CASE WHEN found_entry.durable THEN 'changed' END;
    END IF;
    RETURN CASE WHEN NOT found_entry.durable OR found_entry.revision <> (step ->> 'revision')::bigint THEN 'changed' END;
  WHEN 'check' THEN
    RETURN CASE WHEN NOT lives_in(step -> 'session') THEN 'no-session' END;
  WHEN 'end' THEN
    PERFORM FROM sessions s WHERE s.id = step ->> 'session' AND NOT s.has_ended AND (step ->> 'isEnded')::boolean;
    RETURN CASE WHEN FOUND THEN 'changed' END;
  WHEN 'document', 'check-document' THEN
    RETURN CASE WHEN coalesce((SELECT d.revision FROM documents d WHERE d.name = step ->> 'name'), 0)
      <> (step ->> 'revision')::bigint THEN 'changed' END;
  WHEN 'own', 'withdraw', 'archive' THEN
    RETURN NULL;
  END CASE;
END $body$;

${callable(
  "commit(steps jsonb)",
  "jsonb",
  pinned,
  `
DECLARE
  step jsonb;
  number bigint;
  why text;
  drawn bigint;
  now_ms bigint;
  ahead jsonb;
  appended jsonb := '[]';
  kept jsonb := '[]';
  archived_as bigint;
  of_lock text;
BEGIN
  -- One commit after another, and whatever comes next is seen as the last one has left it.
  PERFORM FROM counter FOR UPDATE;
  PERFORM expire();
  FOR step, number IN SELECT value, ordinality - 1 FROM jsonb_array_elements(steps) WITH ORDINALITY ORDER BY ordinality LOOP
    why := refusal_of(step);
    IF why IS NOT NULL THEN
      RETURN jsonb_build_object('isDone', false, 'step', number, 'why', why);
    END IF;
  END LOOP;
  drawn := draw();
  -- Only now: others may have kept it waiting.
  now_ms := store_ms();
  FOR step IN SELECT value FROM jsonb_array_elements(steps) WITH ORDINALITY ORDER BY ordinality LOOP
    of_lock := step ->> 'lock';
    CASE step ->> 'do'
    WHEN 'append' THEN
      SELECT coalesce(jsonb_agg(jsonb_build_array(${PLACE}) ORDER BY e.position), '[]') INTO ahead FROM ${PLACES} WHERE e.lock = of_lock;
      INSERT INTO entries (lock, position, claim, key, slots, durable, session, revision, token, since, record)
        VALUES (of_lock, drawn, step ->> 'claim', step ->> 'key', (step ->> 'slots')::bigint, false, step #>> '{session,id}',
          drawn, NULL, now_ms, step ->> 'record');
      appended := appended || jsonb_build_array(jsonb_build_array(drawn, ahead));
      ${tell("n", "of_lock")};
    WHEN 'put' THEN
      UPDATE entries e SET record = step ->> 'record', revision = drawn,
          token = CASE WHEN (step ->> 'isNewHolder')::boolean THEN drawn ELSE e.token END,
          session = CASE WHEN step ? 'session' THEN step ->> 'session' ELSE e.session END,
          durable = true, since = CASE WHEN (step ->> 'settles')::boolean THEN now_ms ELSE e.since END
        WHERE ${ENTRY_OF_STEP};
      ${tell("e", "(step ->> 'ref') || ' ' || of_lock")};
    WHEN 'own' THEN
      UPDATE entries e SET session = step ->> 'session' WHERE ${ENTRY_OF_STEP} AND e.token = (step ->> 'token')::bigint;
      IF FOUND THEN
        ${tell("e", "(step ->> 'ref') || ' ' || of_lock")};
      END IF;
    WHEN 'remove', 'withdraw' THEN
      DELETE FROM entries e WHERE ${ENTRY_OF_STEP} AND (step ->> 'do' = 'remove' OR NOT e.durable);
      IF FOUND THEN
        ${tell("e", "(step ->> 'ref') || ' ' || of_lock")};
      END IF;
    WHEN 'archive' THEN
      UPDATE counter SET archived = archived + 1 RETURNING archived INTO STRICT archived_as;
      INSERT INTO archive (sequence, lock, ended_at, record)
        VALUES (archived_as, of_lock, coalesce((step ->> 'endedAt')::bigint, now_ms), step ->> 'record');
      kept := kept || jsonb_build_array(jsonb_build_object('lock', of_lock, 'sequence', archived_as, 'isOver',
        (SELECT count(*) > (step ->> 'room')::bigint FROM archive a WHERE a.lock = of_lock)));
      ${tell("n", "of_lock")};
    WHEN 'end' THEN
      DELETE FROM sessions WHERE id = step ->> 'session';
      ${tell("l", "lock")} FROM (SELECT DISTINCT lock FROM entries WHERE session = step ->> 'session') e;
      DELETE FROM entries WHERE session = step ->> 'session' AND NOT durable;
    WHEN 'document' THEN
      IF step ->> 'value' IS NULL THEN
        DELETE FROM documents WHERE name = step ->> 'name';
      ELSE
        INSERT INTO documents AS d (name, value, revision) VALUES (step ->> 'name', step ->> 'value', drawn)
          ON CONFLICT (name) DO UPDATE SET value = excluded.value, revision = excluded.revision;
      END IF;
      ${tell("d", "(step ->> 'name')")};
    WHEN 'check', 'check-document' THEN
      NULL;
    END CASE;
  END LOOP;
  RETURN jsonb_build_object('isDone', true, 'revision', drawn, 'at', now_ms, 'appended', appended, 'kept', kept);
END`,
)}
`;
}
