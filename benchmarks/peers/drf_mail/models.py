"""The same rows as ours: message, recipients, audit entry; indexed alike."""

from django.db import models

from queensmtp.ids import new_id


class Domain(models.Model):
    name = models.CharField(max_length=253, unique=True)
    is_verified = models.BooleanField(default=False)


class Message(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    key_prefix = models.CharField(max_length=8, db_index=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    request_id = models.CharField(max_length=36)
    sender = models.CharField(max_length=998)
    to = models.JSONField()
    cc = models.JSONField(default=list)
    bcc = models.JSONField(default=list)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    tags = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)


class Recipient(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    message = models.ForeignKey(Message, on_delete=models.CASCADE)
    address = models.CharField(max_length=320, db_index=True)
    domain = models.CharField(max_length=253)
    state = models.CharField(max_length=10, default="queued")
    due_at = models.DateTimeField(auto_now_add=True, db_index=True)


class AuditEntry(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    event = models.CharField(max_length=64, db_index=True)
    key_prefix = models.CharField(max_length=8, db_index=True)
    target_id = models.CharField(max_length=64)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.TextField()
    request_id = models.CharField(max_length=36)
    changes = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
