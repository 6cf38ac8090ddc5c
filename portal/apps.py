import gc

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        from portal import checks

        assert checks.production  # importing registers it
        # What was imported stays, so looking through it for garbage is work for nothing.
        gc.freeze()
        gc.enable()
