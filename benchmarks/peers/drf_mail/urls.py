from django.urls import path

from benchmarks.peers.drf_mail.views import Emails

urlpatterns = [path("v1/emails", Emails.as_view())]
