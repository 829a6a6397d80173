from django.urls import URLPattern, path

from auditlog import api

api_urlpatterns = [
    path("audit-log", api.AuditEntries.as_view()),
    path("audit-log/checkpoint", api.AuditCheckpoint.as_view()),
    path("audit-log/proof/inclusion", api.InclusionProof.as_view()),
    path("audit-log/proof/consistency", api.ConsistencyProof.as_view()),
    path("audit-log/<str:entry_id>", api.AuditEntry.as_view()),
]

# The console's pages stand on Entry.objects.matching() and audit.sentence_for().
console_urlpatterns: list[URLPattern] = []
