// @slack/web-api and @slack/socket-mode against the fake workspace: check_slack_node.mjs SLACK.json INPUT
//
// Nothing of them is replaced: they are told another slackApiUrl. INPUT takes events, one a line, that are pushed.

import { appendFileSync, readFileSync } from "node:fs";
import { SocketModeClient } from "@slack/socket-mode";
import { LogLevel, WebClient } from "@slack/web-api";

const ws = JSON.parse(readFileSync(process.argv[2], "utf8"));
const options = { slackApiUrl: `${ws.base_url}/`, logLevel: LogLevel.ERROR };
const bot = new WebClient(ws.bot_token, options);
const channel = ws.channels[0];

let failures = 0;
function check(name, passed) {
  if (!passed) failures += 1;
  console.log(`${passed ? "PASS" : "FAIL"} ${name}`);
}
async function refused(call) {
  try {
    await call();
  } catch (error) {
    return error.data?.error ?? error.code ?? String(error);
  }
  return undefined;
}
async function waitFor(done) {
  const end = Date.now() + 20_000;
  while (!done() && Date.now() < end) await new Promise((go) => setTimeout(go, 50));
  return done();
}
async function all(method, args, field) {
  const rows = [];
  for await (const page of bot.paginate(method, args)) rows.push(...page[field]);
  return rows;
}

const who = await bot.auth.test();
check("auth.test knows the bot", who.user_id === ws.bot_user && who.team_id === ws.team_id);
check("the headers name the granted scopes", who.response_metadata.scopes.includes("channels:history"));

let limited = 0;
bot.on("rate_limited", () => {
  limited += 1;
});
const messages = await all("conversations.history", { channel, limit: 100 }, "messages");
check("history pages to its end", messages.length === ws.messages);
const times = messages.map((message) => message.ts);
check("history comes newest first, each message once", [...new Set(times)].sort().reverse().join() === times.join());
check("users page to their end", (await all("users.list", { limit: 50 }, "members")).length === ws.users);
const types = "public_channel,private_channel,im,mpim";
check("conversations of all kinds page", (await all("conversations.list", { types, limit: 3 }, "channels")).length === 7);
const replies = await all("conversations.replies", { channel, ts: ws.threads[0], limit: 2 }, "messages");
check("a thread begins with its parent", replies[0].reply_count === replies.length - 1);
check("a 429 is waited for", limited > 0);

check(
  "a token that is unknown is refused",
  (await refused(() => new WebClient("xoxb-none", options).auth.test())) === "invalid_auth",
);

const posted = await bot.chat.postMessage({
  channel,
  text: "from node",
  metadata: { event_type: "check", event_payload: { key: "k" } },
});
const newest = await bot.conversations.history({ channel, limit: 1, include_all_metadata: true });
check("a post stands in history, with its metadata", newest.messages[0].metadata.event_payload.key === "k");
await bot.chat.update({ channel, ts: posted.ts, text: "changed" });
await bot.reactions.add({ channel, timestamp: posted.ts, name: "eyes" });
check(
  "a second reaction is refused",
  (await refused(() => bot.reactions.add({ channel, timestamp: posted.ts, name: "eyes" }))) === "already_reacted",
);
const shown = await bot.reactions.get({ channel, timestamp: posted.ts });
check("a message is changed and reacted to", shown.message.text === "changed" && shown.message.reactions.length === 1);
await bot.chat.delete({ channel, ts: posted.ts });

const content = "zwölf Bytes";
const uploaded = await bot.files.uploadV2({ channel_id: channel, filename: "a.txt", title: "A", content });
const id = uploaded.files[0].files[0].id;
const file = await bot.files.info({ file: id });
check("filesUploadV2 uploads", file.file.size === Buffer.byteLength(content) && file.file.title === "A");
check("files.list pages by number", (await bot.files.list({ count: 2, page: 3 })).paging.pages === 3);

const refresh = {
  client_id: ws.client_id,
  client_secret: ws.client_secret,
  grant_type: "refresh_token",
  refresh_token: ws.refresh_token,
};
const nobody = new WebClient(undefined, options);
const pair = await nobody.oauth.v2.access(refresh);
check("a refresh gives the next pair", pair.access_token.startsWith("xoxe.xoxb-1-") && pair.expires_in === 43_200);
check("a refresh token is good once", (await refused(() => nobody.oauth.v2.access(refresh))) === "invalid_refresh_token");
check("the new token opens", (await new WebClient(pair.access_token, options).auth.test()).ok);
const exchange = { client_id: ws.client_id, client_secret: ws.client_secret, token: ws.user_token };
check("a long-lived token is exchanged", (await nobody.oauth.v2.exchange(exchange)).token_type === "user");

const push = (event) => appendFileSync(process.argv[3], `${JSON.stringify(event)}\n`);
const received = [];
const socket = new SocketModeClient({ appToken: ws.app_token, clientOptions: options, logLevel: LogLevel.ERROR });
socket.on("message", async ({ ack, body }) => {
  received.push(body);
  await ack();
});
let connected = 0;
socket.on("connected", () => {
  connected += 1;
});
await socket.start();
push({ type: "message", text: "by socket" });
check("an event comes over the socket", await waitFor(() => received.length === 1));
check("it is in its wrapper", received[0].event.text === "by socket" && received[0].event_id.startsWith("Ev"));
await new Promise((go) => setTimeout(go, 4000));
check("acknowledged, it does not come again", received.length === 1);
await socket.disconnect();
push({ type: "message", text: "after" });
await socket.start();
check("an event waits for the next connection", await waitFor(() => received.length === 2) && connected === 2);
await socket.disconnect();

process.exit(failures ? 1 : 0);
