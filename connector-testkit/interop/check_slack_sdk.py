"""slack_sdk against the fake workspace: check_slack_sdk.py SOCKETS.json SOCKETS POSTS.json POSTS PORT

Nothing of slack_sdk is replaced: it is told another base_url, and its own code pages, waits, uploads, rotates,
verifies and reconnects. SOCKETS and POSTS are the inputs of two workspaces, where a line is an event that is pushed: by
Socket Mode, and by HTTP to PORT.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.token_rotation import TokenRotator
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

failures = 0


def check(name, passed):
    global failures
    failures += not passed
    print(("PASS " if passed else "FAIL ") + name, flush=True)


def refused(call):
    try:
        call()
    except SlackApiError as error:
        return error.response
    return {}


def wait_for(done, seconds=20):
    end = time.time() + seconds
    while not done() and time.time() < end:
        time.sleep(0.05)
    return done()


def load(path):
    with open(path) as file:
        return json.load(file)


ws, posting = load(sys.argv[1]), load(sys.argv[3])
base = ws["base_url"] + "/"


def client(token, **options):
    return WebClient(token=token, base_url=base, **options)


limited = RateLimitErrorRetryHandler(max_retry_count=3)
bot = client(ws["bot_token"], retry_handlers=[limited])
channel = ws["channels"][0]

who = bot.auth_test()
check("auth.test knows the bot", who["user_id"] == ws["bot_user"] and who["team_id"] == ws["team_id"])
check("the headers name the granted scopes", "channels:history" in who.headers["x-oauth-scopes"])

# The iterator hands out the same object, page after page.
pages = [page["messages"] for page in bot.conversations_history(channel=channel, limit=100)]
messages = [message for page in pages for message in page]
check("history pages to its end", len(messages) == ws["messages"] and len(pages) == 5)
times = [message["ts"] for message in messages]
check("history comes newest first, each message once", times == sorted(set(times), reverse=True))
users = [user for page in bot.users_list(limit=50) for user in page["members"]]
check("users page to their end", len(users) == ws["users"])
listed = bot.conversations_list(types="public_channel,private_channel,im,mpim", limit=3)
check("conversations of all kinds page", len([one for page in listed for one in page["channels"]]) == 7)
thread = ws["threads"][0]
replies = bot.conversations_replies(channel=channel, ts=thread)["messages"]
check("a thread begins with its parent", replies[0]["ts"] == thread and replies[0]["reply_count"] == len(replies) - 1)
members = [one for page in bot.conversations_members(channel=channel, limit=100) for one in page["members"]]
check("members page to their end", len(members) == ws["users"])
started, calls = time.time(), 0
while calls < 12:
    bot.auth_test()
    calls += 1
check("a 429 is waited for by the handler", 1 <= time.time() - started < 10)

unknown = refused(lambda: client("xoxb-none", retry_handlers=[limited]).auth_test())
check("a token that is unknown is refused", unknown.get("error") == "invalid_auth")
none = refused(lambda: bot.conversations_history(channel="C0NONE"))
check("a channel that is unknown is refused", none.get("error") == "channel_not_found")

posted = bot.chat_postMessage(
    channel=channel,
    text="from slack_sdk",
    blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "from *slack_sdk*"}}],
    metadata={"event_type": "check", "event_payload": {"key": "k"}},
)
newest = bot.conversations_history(channel=channel, limit=1, include_all_metadata=True)["messages"][0]
check("a post stands in history, with its metadata", newest["ts"] == posted["ts"] and newest["metadata"]["event_payload"] == {"key": "k"})
bot.chat_update(channel=channel, ts=posted["ts"], text="changed")
bot.reactions_add(channel=channel, timestamp=posted["ts"], name="eyes")
again = refused(lambda: bot.reactions_add(channel=channel, timestamp=posted["ts"], name="eyes"))
check("a second reaction is refused", again.get("error") == "already_reacted")
shown = bot.reactions_get(channel=channel, timestamp=posted["ts"], full=True)["message"]
check("a message is changed and reacted to", shown["text"] == "changed" and shown["reactions"][0]["name"] == "eyes")
bot.chat_delete(channel=channel, ts=posted["ts"])
check("a message is deleted", bot.conversations_history(channel=channel, limit=1)["messages"][0]["ts"] != posted["ts"])

content = "zwölf Bytes"
uploaded = bot.files_upload_v2(channel=channel, filename="a.txt", title="A", content=content, initial_comment="look")
file = bot.files_info(file=uploaded["file"]["id"])["file"]
check("files_upload_v2 uploads", file["size"] == len(content.encode()) and file["title"] == "A")
check("files.list pages by number", bot.files_list(count=2, page=3)["paging"]["pages"] == 3)
found = bot.users_lookupByEmail(email="user1@acme.example")["user"]
check("a user is found by address", found["profile"]["email"] == "user1@acme.example")

rotator = TokenRotator(client_id=ws["client_id"], client_secret=ws["client_secret"], client=client(None, retry_handlers=[limited]))


def installation(**tokens):
    return Installation(app_id="A", user_id="U", team_id=ws["team_id"], installed_at=time.time(), **tokens)


old = installation(
    bot_id="B",
    bot_user_id=ws["bot_user"],
    bot_token=ws["expiring_token"],
    bot_refresh_token=ws["expiring_refresh_token"],
    bot_token_expires_at=int(time.time()) + 60,
    user_token=ws["user_token"],
    user_refresh_token=ws["user_refresh_token"],
    user_token_expires_at=int(time.time()) + 60,
)
new = rotator.perform_token_rotation(installation=old)
check("TokenRotator rotates the bot's pair", new.bot_token.startswith("xoxe.xoxb-1-") and new.bot_token != old.bot_token)
check("TokenRotator rotates the user's pair", new.user_token.startswith("xoxe.xoxp-1-") and new.user_refresh_token != old.user_refresh_token)
check("the new token opens", client(new.bot_token, retry_handlers=[limited]).auth_test()["ok"])
try:
    spent = rotator.perform_token_rotation(installation=old)
except Exception as error:  # noqa: BLE001
    spent = error
check("a refresh token is good once", isinstance(spent, Exception) and "invalid_refresh_token" in str(spent.__cause__ or spent))

got = []


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        valid = SignatureVerifier(posting["signing_secret"]).is_valid_request(body, dict(self.headers))
        got.append((valid, self.headers.get("X-Slack-Retry-Num"), json.loads(body)))
        self.send_response(500 if len(got) == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(sys.argv[5])), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(sys.argv[4], "w") as events:
    events.write(json.dumps({"type": "message", "text": "by HTTP"}) + "\n")
check("an event is delivered, and again after a 500", wait_for(lambda: len(got) >= 2))
check("SignatureVerifier finds both signatures valid", all(valid for valid, _, _ in got))
check("the retry says that it is one", [number for _, number, _ in got][:2] == [None, "1"])
check("both have one event_id", got[0][2]["event_id"] == got[1][2]["event_id"])
server.shutdown()

received = []


def listen(socket, request):
    received.append(request)
    socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))


socket = SocketModeClient(app_token=ws["app_token"], web_client=client(None, retry_handlers=[limited]), ping_interval=1)
socket.socket_mode_request_listeners.append(listen)
socket.connect()
check("the socket is connected", wait_for(socket.is_connected))
with open(sys.argv[2], "w") as events:
    events.write(json.dumps({"type": "message", "text": "by socket"}) + "\n")
    events.flush()
    check("an event comes over the socket", wait_for(lambda: len(received) == 1))
    check("it is in its wrapper", received[0].type == "events_api" and received[0].payload["event"]["text"] == "by socket")
    time.sleep(4)
    check("acknowledged, it does not come again", len(received) == 1)
    check("pings have their pongs", socket.is_connected())
    socket.disconnect()
    events.write(json.dumps({"type": "message", "text": "after"}) + "\n")
    events.flush()
    socket.connect_to_new_endpoint(force=True)
    check("an event waits for the next connection", wait_for(lambda: len(received) == 2))
socket.close()

sys.exit(1 if failures else 0)
