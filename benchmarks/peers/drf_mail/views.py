from django.db import transaction
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_api_key.permissions import KeyParser

from benchmarks.peers.drf_mail.models import AuditEntry, Domain, Message, Recipient
from queensmtp.ids import new_id


class EmailSerializer(serializers.Serializer):
    sender = serializers.CharField(max_length=998)
    to = serializers.ListField(child=serializers.EmailField(), min_length=1, max_length=50)
    cc = serializers.ListField(child=serializers.EmailField(), required=False, max_length=50)
    bcc = serializers.ListField(child=serializers.EmailField(), required=False, max_length=50)
    subject = serializers.CharField(max_length=998, allow_blank=True)
    text = serializers.CharField(allow_blank=True, trim_whitespace=False)
    html = serializers.CharField(allow_blank=True, required=False, trim_whitespace=False)
    headers = serializers.DictField(child=serializers.CharField(), required=False)
    tags = serializers.ListField(child=serializers.DictField(), required=False)


class Emails(APIView):
    """The key is looked up by the package's own permission class before this runs."""

    def post(self, request: Request) -> Response:
        data = dict(request.data)
        data["sender"] = data.pop("from", "")
        serializer = EmailSerializer(data=data)
        serializer.is_valid(raise_exception=True)
        message = self.store(request, serializer.validated_data)
        return Response({"id": str(message.pk)}, status=status.HTTP_202_ACCEPTED)

    @transaction.atomic
    def store(self, request: Request, given: dict) -> Message:
        domain_name = given["sender"].rpartition("@")[2].rstrip(">").lower()
        domain = Domain.objects.get(name=domain_name, is_verified=True)
        prefix = (KeyParser().get(request) or "").partition(".")[0]
        request_id = str(new_id())
        message = Message.objects.create(
            key_prefix=prefix, domain=domain, request_id=request_id, **given
        )
        addresses = [*given["to"], *given.get("cc", []), *given.get("bcc", [])]
        Recipient.objects.bulk_create(
            Recipient(message=message, address=one, domain=one.rpartition("@")[2])
            for one in addresses
        )
        AuditEntry.objects.create(
            event="email.submitted",
            key_prefix=prefix,
            target_id=str(message.pk),
            ip=request.META.get("REMOTE_ADDR") or None,
            user_agent=request.META.get("HTTP_USER_AGENT", ""),
            request_id=request_id,
            changes={"from": given["sender"], "recipients": len(addresses)},
        )
        return message
