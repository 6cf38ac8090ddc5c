import gc
import os

from django.core.wsgi import get_wsgi_application

gc.disable()  # while everything is imported nothing is garbage; `PortalConfig.ready` goes on with it
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()

from django.db import connections  # noqa: E402

from portal.checks import refuse_unsafe  # noqa: E402

refuse_unsafe(web=True)
# Gunicorn loads this once and forks: two processes must not talk over one connection.
connections.close_all()
# What is loaded is never looked through by the collector, which would write to pages that the processes share.
gc.freeze()
