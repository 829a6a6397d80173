"""How receivers check a signature, in the words of the libraries that they know. Pure.

Shown in the console; the tests run the ones in Python against what we send.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Snippet:
    id: str
    title: str
    install: str
    code: str


PYTHON_STANDARD = """\
from standardwebhooks import Webhook

def receive(body: bytes, headers: dict[str, str], secret: str) -> dict:
    # Raises WebhookVerificationError for anything that we did not send.
    return Webhook(secret).verify(body, headers)
"""
PYTHON_SVIX = """\
import json
from svix.webhooks import Webhook

def receive(body: bytes, headers: dict[str, str], secret: str) -> dict:
    Webhook(secret).verify(body, headers)  # raises; what it returns depends on its version
    return json.loads(body)
"""
PYTHON_ALONE = """\
import base64, hashlib, hmac, time

def is_genuine(secret: str, header: str, body: bytes) -> bool:
    \"\"\"`header` is X-QueenSMTP-Signature; `body` is what came, byte for byte.\"\"\"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    parts = [part.partition("=") for part in header.split(",")]
    timestamp = next((value for name, _, value in parts if name == "t"), "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 300:
        return False
    expected = hmac.new(key, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return any(
        hmac.compare_digest(expected, value)
        for name, _, value in parts
        if name == "v1" and value.isascii()
    )
"""
DJANGO_ANYMAIL = """\
# settings.py; the URL is /anymail/resend/tracking/
ANYMAIL = {"RESEND_SIGNING_SECRET": os.environ["QUEENSMTP_WEBHOOK_SECRET"]}
"""
NODE_STANDARD = """\
import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.QUEENSMTP_WEBHOOK_SECRET);

// raw: the signature is over the bytes as they came.
app.post("/queensmtp", express.raw({ type: "application/json" }), (request, response) => {
  const event = webhook.verify(request.body, request.headers); // throws if it is not ours
  response.sendStatus(204);
});
"""
NODE_SVIX = """\
import { Webhook } from "svix";

new Webhook(process.env.QUEENSMTP_WEBHOOK_SECRET).verify(body, headers); // throws if not ours
const event = JSON.parse(body);
"""
NODE_ALONE = """\
import { createHmac, timingSafeEqual } from "node:crypto";

export function isGenuine(secret, header, body /* Buffer */) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const parts = header.split(",").map((part) => part.split("="));
  const timestamp = parts.find(([name]) => name === "t")?.[1] ?? "";
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!/^\\d+$/.test(timestamp) || age > 300) return false;
  const expected = createHmac("sha256", key).update(`${timestamp}.`).update(body).digest();
  return parts
    .filter(([name, value]) => name === "v1" && /^[0-9a-f]{64}$/.test(value))
    .some(([, value]) => timingSafeEqual(expected, Buffer.from(value, "hex")));
}
"""

SNIPPETS = (
    Snippet("python", "Python", "pip install standardwebhooks", PYTHON_STANDARD),
    Snippet("python-svix", "Python with Svix", "pip install svix", PYTHON_SVIX),
    Snippet("anymail", "Django with Anymail", "pip install django-anymail[resend]", DJANGO_ANYMAIL),
    Snippet("node", "Node", "npm install standardwebhooks", NODE_STANDARD),
    Snippet("node-svix", "Node with Svix", "npm install svix", NODE_SVIX),
    Snippet("python-alone", "Python without a library", "", PYTHON_ALONE),
    Snippet("node-alone", "Node without a library", "", NODE_ALONE),
)
