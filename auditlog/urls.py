from django.urls import path

from auditlog import (
    api,
    export_api,
    export_views,
    receipt_views,
    retention_api,
    stream_api,
    stream_views,
    view_api,
    views,
    well_known,
)

api_urlpatterns = [
    path("audit-log", api.AuditEntries.as_view()),
    path("audit-log/checkpoint", api.AuditCheckpoint.as_view()),
    path("audit-log/proof/inclusion", api.InclusionProof.as_view()),
    path("audit-log/proof/consistency", api.ConsistencyProof.as_view()),
    path("audit-log/exports", export_api.Exports.as_view()),
    path("audit-log/exports/<str:export_id>", export_api.OneExport.as_view()),
    path("audit-log/exports/<str:export_id>/cancel", export_api.ExportCancel.as_view()),
    path("audit-log/exports/<str:export_id>/file", export_api.ExportFile.as_view()),
    path("audit-log/retention", retention_api.AuditRetention.as_view()),
    path("audit-log/erasures", retention_api.Erasures.as_view()),
    path("audit-log/erasures/<str:erasure_id>", retention_api.OneErasure.as_view()),
    path("audit-log/streams", stream_api.Streams.as_view()),
    path("audit-log/streams/<str:stream_id>", stream_api.OneStream.as_view()),
    path("audit-log/views", view_api.SavedViews.as_view()),
    path("audit-log/views/<str:view_id>", view_api.OneView.as_view()),
    path("audit-log/<str:entry_id>", api.AuditEntry.as_view()),
    path("audit-log/<str:entry_id>/receipt", api.AuditReceipt.as_view()),
]

console_urlpatterns = [
    path("console/audit-log", views.audit_list, name="audit_list"),
    path("console/audit-log/verify", views.audit_verify, name="audit_verify"),
    path("console/audit-log/views", views.audit_save_view, name="audit_save_view"),
    path(
        "console/audit-log/views/<uuid:view_id>/remove",
        views.audit_remove_view,
        name="audit_remove_view",
    ),
    path("console/audit-log/exports", export_views.audit_exports, name="audit_exports"),
    path(
        "console/audit-log/exports/list", export_views.audit_export_list, name="audit_export_list"
    ),
    path(
        "console/audit-log/exports/<uuid:export_id>/file",
        export_views.audit_export_file,
        name="audit_export_file",
    ),
    path(
        "console/audit-log/exports/<uuid:export_id>/manifest",
        export_views.audit_export_manifest,
        name="audit_export_manifest",
    ),
    path(
        "console/audit-log/exports/<uuid:export_id>/cancel",
        export_views.audit_export_cancel,
        name="audit_export_cancel",
    ),
    path(
        "console/audit-log/exports/<uuid:export_id>/again",
        export_views.audit_export_again,
        name="audit_export_again",
    ),
    path("console/audit-log/retention", export_views.audit_retention, name="audit_retention"),
    path("console/audit-log/streams", stream_views.audit_streams, name="audit_streams"),
    path(
        "console/audit-log/streams/<uuid:stream_id>/switch",
        stream_views.audit_switch_stream,
        name="audit_switch_stream",
    ),
    path(
        "console/audit-log/streams/<uuid:stream_id>/remove",
        stream_views.audit_remove_stream,
        name="audit_remove_stream",
    ),
    path("console/audit-log/erasures", export_views.audit_erase, name="audit_erase"),
    path("console/audit-log/<uuid:entry_id>", views.audit_entry, name="audit_entry"),
    path(
        "console/audit-log/<uuid:entry_id>/receipt",
        receipt_views.audit_receipt,
        name="audit_receipt",
    ),
]

well_known_urlpatterns = [
    path("audit-log-keys", well_known.audit_log_keys),
]
