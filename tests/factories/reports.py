"""Mails that servers send to return paths."""

RETURNED = """\
From: Hive <hello@hive.example>
To: ann@wasp.example
Subject: Hello
Message-ID: <1@hive.example>
"""


def delivery_report(
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <ann@wasp.example>: User unknown",
) -> bytes:
    """As Postfix writes it (RFC 3464)."""
    return _crlf(f"""\
From: MAILER-DAEMON@mx.wasp.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: b-token@bounces.localhost
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="9B8E41F.1764127200/mx.wasp.example"

This is a MIME-encapsulated message.

--9B8E41F.1764127200/mx.wasp.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--9B8E41F.1764127200/mx.wasp.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.wasp.example
Arrival-Date: Thu, 26 Nov 2026 03:00:00 +0000 (UTC)

Final-Recipient: rfc822; ann@wasp.example
Original-Recipient: rfc822;ann@wasp.example
Action: {action}
Status: {status}
Remote-MTA: dns; store.wasp.example
Diagnostic-Code: {diagnostic}

--9B8E41F.1764127200/mx.wasp.example
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

{RETURNED}
--9B8E41F.1764127200/mx.wasp.example--
""")


def abuse_report(
    feedback: str = "abuse",
    *,
    returned: str = f"{RETURNED}\nHello\n",
    kind: str = "message/rfc822",
    mail_from: str = "",
) -> bytes:
    """As RFC 5965 shows it."""
    return _crlf(f"""\
From: <feedback@mailbox.example>
Subject: FW: Hello
To: b-token@bounces.localhost
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--part
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: MailboxFeedback/1.0
Version: 1
Original-Rcpt-To: <ann@wasp.example>
Original-Mail-From: <{mail_from}>
Reporting-MTA: dns; mail.mailbox.example

--part
Content-Type: {kind}

{returned}
--part--
""")


def attached(returned: str) -> bytes:
    """As Microsoft's JMRP sends it: the message as an attachment, and nothing for programs."""
    return _crlf(f"""\
From: staff@hotmail.example
Subject: complaint about message from 192.0.2.1
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="part"

--part
Content-Type: message/rfc822
Content-Disposition: attachment

{returned}
--part--
""")


def out_of_office() -> bytes:
    return _crlf("""\
From: ann@wasp.example
Subject: Out of office
Auto-Submitted: auto-replied
Content-Type: text/plain

I am away. Status: 5.1.1, Action: failed.
""")


def _crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
