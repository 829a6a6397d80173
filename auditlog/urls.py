from django.urls import path

from auditlog import api, export_api, views, well_known

api_urlpatterns = [
    path("audit-log", api.AuditEntries.as_view()),
    path("audit-log/checkpoint", api.AuditCheckpoint.as_view()),
    path("audit-log/proof/inclusion", api.InclusionProof.as_view()),
    path("audit-log/proof/consistency", api.ConsistencyProof.as_view()),
    path("audit-log/exports", export_api.Exports.as_view()),
    path("audit-log/exports/<str:export_id>", export_api.OneExport.as_view()),
    path("audit-log/exports/<str:export_id>/cancel", export_api.ExportCancel.as_view()),
    path("audit-log/exports/<str:export_id>/file", export_api.ExportFile.as_view()),
    path("audit-log/<str:entry_id>", api.AuditEntry.as_view()),
    path("audit-log/<str:entry_id>/receipt", api.AuditReceipt.as_view()),
]

console_urlpatterns = [
    path("console/audit-log", views.audit_list, name="audit_list"),
    path("console/audit-log/<uuid:entry_id>", views.audit_entry, name="audit_entry"),
]

well_known_urlpatterns = [
    path("audit-log-keys", well_known.audit_log_keys),
]
