"""The usual way to send webhooks from Python: one Celery task per delivery, `requests`, retries.

A session per worker process, acks late, Celery's own exponential back-off: what a careful
developer writes in an afternoon. It signs as Standard Webhooks asks, and checks no address.
"""

import base64
import hashlib
import hmac
import os
import time

import requests
from celery import Celery

BROKER = os.environ["REDIS_URL"].replace("unix://", "redis+socket://", 1)
KEY = b"0123456789abcdef0123456789abcdef"
TIMEOUT_SECONDS = 15

app = Celery("celery_webhooks", broker=BROKER)
app.conf.task_ignore_result = True
app.conf.task_acks_late = True
app.conf.task_default_queue = "bench-webhooks-peer"
session = requests.Session()
# Or REQUESTS_CA_BUNDLE of the environment would win over `verify`.
session.trust_env = False
session.verify = os.environ.get("OUTBOUND_CA_FILE") or True


@app.task(autoretry_for=(requests.RequestException,), retry_backoff=5, max_retries=7)
def deliver(url: str, id: str, body: str) -> None:
    timestamp = str(int(time.time()))
    signed = f"{id}.{timestamp}.{body}".encode()
    signature = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    answer = session.post(
        url,
        data=body.encode(),
        headers={
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        },
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
