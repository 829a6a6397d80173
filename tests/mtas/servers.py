"""The mail servers that each check is made with."""

from tests.mtas import exim, opensmtpd, postfix

MTAS = {"postfix": postfix, "exim": exim, "opensmtpd": opensmtpd}
