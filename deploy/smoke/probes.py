"""Knocking on each port as an attacker or an old client would."""

import smtplib
import socket
import ssl
import warnings

HOST = "127.0.0.1"
SECONDS = 5.0


def answers_plain_http(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=SECONDS) as client:
        try:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b"HTTP/" in client.recv(4096)
        except OSError:
            return False


def accepts_tls(port: int, *, version: ssl.TLSVersion) -> bool:
    with socket.create_connection((HOST, port), timeout=SECONDS) as client:
        try:
            context_of(version).wrap_socket(client, server_hostname="localhost").close()
        except OSError:
            return False
        return True


def accepts_starttls(port: int, *, version: ssl.TLSVersion) -> bool:
    with smtplib.SMTP(HOST, port, timeout=SECONDS) as client:
        client.ehlo()
        try:
            client.starttls(context=context_of(version))
        except (OSError, smtplib.SMTPException):
            client.close()
            return False
        return True


def context_of(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks one version only, and takes any cipher so that nothing else refuses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context
