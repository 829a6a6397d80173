from django.urls import path

from sending import (
    api,
    attachment_api,
    email_api,
    link_urls,
    log_api,
    log_views,
    message_list_views,
    message_views,
    queue_views,
    usage_api,
    views,
)

# Whoever has the mail may follow its links; the address itself is signed.
link_urlpatterns = link_urls.urlpatterns

api_urlpatterns = [
    path("emails", api.emails),
    path("emails/batch", api.emails_batch),
    path("emails/<uuid:email_id>", email_api.Email.as_view()),
    path("emails/<uuid:email_id>/cancel", email_api.CancelEmail.as_view()),
    path("emails/<uuid:email_id>/attachments", attachment_api.Attachments.as_view()),
    path(
        "emails/<uuid:email_id>/attachments/<uuid:attachment_id>",
        attachment_api.OneAttachment.as_view(),
    ),
    path("usage", usage_api.Usage.as_view()),
    path("logs", log_api.Logs.as_view()),
    path("logs/<uuid:log_id>", log_api.Log.as_view()),
    path("attachments/<str:token>", attachment_api.Download.as_view()),
]

console_urlpatterns = [
    path("console", views.home, name="console_home"),
    path("console/welcome/dismiss", views.dismiss_welcome, name="console_dismiss_welcome"),
    path("console/messages", message_list_views.message_list, name="message_list"),
    path("console/messages.csv", message_list_views.message_csv, name="message_csv"),
    path("console/messages/<uuid:message_id>", message_views.message_detail, name="message_detail"),
    path(
        "console/messages/<uuid:message_id>/cancel",
        message_views.message_cancel,
        name="message_cancel",
    ),
    path(
        "console/messages/<uuid:message_id>/resend",
        message_views.message_resend,
        name="message_resend",
    ),
    path(
        "console/messages/<uuid:message_id>/contents",
        message_views.message_contents,
        name="message_contents",
    ),
    path(
        "console/messages/<uuid:message_id>/preview",
        message_views.message_preview,
        name="message_preview",
    ),
    path("console/requests", log_views.request_list, name="request_list"),
    path("console/requests/<uuid:entry_id>", log_views.request_detail, name="request_detail"),
    path("console/queue", queue_views.queue_page, name="queue"),
    path("console/queue/holds", queue_views.hold, name="hold"),
    path("console/queue/holds/<uuid:hold_id>/let-go", queue_views.let_go, name="hold_let_go"),
    path("console/queue/contents", queue_views.keep_contents, name="keep_contents"),
    path("console/queue/warm-ups", queue_views.begin_warm_up, name="warm_up"),
    path(
        "console/queue/warm-ups/<uuid:domain_id>/end", queue_views.end_warm_up, name="warm_up_end"
    ),
]
