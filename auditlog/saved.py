"""Searches of the log that somebody gave a name."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def seen_by(self, person_id: str) -> "SavedViewQuerySet":
        return self.filter(Q(is_shared=True) | Q(owner_id=person_id))


class SavedView(models.Model):
    """A query of the list: for the person who saved it, or for everybody in the account."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    owner_id = models.TextField()
    owner_label = models.TextField(blank=True)
    name = models.TextField()
    query = models.TextField()
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "owner_id", "name"], name="audit_view_has_one_name"
            )
        ]

    def __str__(self) -> str:
        return self.name
