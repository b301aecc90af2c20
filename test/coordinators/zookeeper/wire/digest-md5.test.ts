// DIGEST-MD5 against the examples of RFC 2831, and against challenges that no server should send.
import { describe, expect, test } from "vitest";
import { answerChallenge } from "../../../../src/coordinators/zookeeper/wire/digest-md5.js";

const CHRIS = { user: "chris", password: "secret" };

/** An answer's directives. */
function said(response: Buffer): Readonly<Record<string, string>> {
  const pairs = [...response.toString().matchAll(/([\w-]+)=("(?:[^"\\]|\\.)*"|[^,]*)/g)];
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value]));
}

function answer(challenge: string, login = CHRIS, uri = "imap/elwood.innosoft.com", cnonce = "OA6MHXh6VqTrRk") {
  return answerChallenge(Buffer.from(challenge), login, uri, cnonce);
}

describe("the examples of section 4", () => {
  test.each([
    [
      "imap",
      'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8',
      "OA6MHXh6VqTrRk",
      "imap/elwood.innosoft.com",
      "d388dad90d4bbd760a152321f2143af7",
      "ea40f60335c427b5527b84dbabcdfffd",
    ],
    [
      "acap",
      'realm="elwood.innosoft.com",nonce="OA9BSXrbuRhWay",qop="auth",algorithm=md5-sess,charset=utf-8',
      "OA9BSuZWMSpW8m",
      "acap/elwood.innosoft.com",
      "6084c6db3fede7352c551284490fd0fc",
      "2f0b3d7c3c2e486600ef710726aa2eae",
    ],
  ])("%s", (_, challenge, cnonce, uri, response, proof) => {
    const answered = answer(challenge, CHRIS, uri, cnonce);
    expect(said(answered.response)).toEqual({
      charset: "utf-8",
      username: '"chris"',
      realm: '"elwood.innosoft.com"',
      nonce: expect.any(String) as string,
      nc: "00000001",
      cnonce: `"${cnonce}"`,
      "digest-uri": `"${uri}"`,
      response,
      qop: "auth",
    });
    expect(answered.isProof(Buffer.from(`rspauth=${proof}`))).toBe(true);
    expect(answered.isProof(Buffer.from(`rspauth=${response}`))).toBe(false);
    expect(answered.isProof(Buffer.from('qop="auth"'))).toBe(false);
  });
});

test("every answer has an unguessable part of its own", () => {
  const challenge = Buffer.from('nonce="a",algorithm=md5-sess');
  const answers = [1, 2].map(() => said(answerChallenge(challenge, CHRIS, "zookeeper/zk").response)["cnonce"]);
  expect(answers[0]).not.toBe(answers[1]);
  expect(answers[0]?.length).toBeGreaterThan(30);
});

test("quotes and backslashes are escaped, and read as they are meant", () => {
  const { response } = answer(String.raw`nonce="a\"b,c=\\d",algorithm=md5-sess,charset=utf-8`, { user: 'a"\\', password: "x" });
  expect(response.toString()).toContain(String.raw`username="a\"\\",nonce="a\"b,c=\\d",nc=`);
});

test("of several realms the first is taken, and without one none is named", () => {
  expect(said(answer('realm="a",realm="b",nonce="n",algorithm=md5-sess').response)["realm"]).toBe('"a"');
  expect(said(answer('nonce="n",algorithm=md5-sess').response)).not.toHaveProperty("realm");
});

test.each([
  ["", "its challenge has no nonce"],
  ["algorithm=md5-sess", "its challenge has no nonce"],
  ['nonce="a"', "its challenge is not for md5-sess"],
  ['nonce="a",algorithm=md5-sess,qop="auth-int,auth-conf"', "it offers auth-int, auth-conf, and no authentication alone"],
  ['nonce="a,algorithm=md5-sess', "it said what is not DIGEST-MD5"],
  ["\u0001\u0002", "it said what is not DIGEST-MD5"],
])("a challenge of %j is refused", (challenge, words) => expect(() => answer(challenge)).toThrow(words));

test("a server of before UTF-8 is sent no other characters than it knows", () => {
  expect(() => answer('nonce="a",algorithm=md5-sess', { user: "日", password: "x" })).toThrow("no names and passwords beyond");
  expect([...answer('nonce="a",algorithm=md5-sess', { user: "ü", password: "x" }).response]).toContain(0xfc);
});
