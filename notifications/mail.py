"""Mail as a channel: how one message leaves, and what is known when it could not."""

from __future__ import annotations

from email.utils import parseaddr
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from django.conf import settings
from django.core.mail import EmailMessage


class Undelivered(Exception):
    """A message that did not leave. The text names no address.

    `final` where trying again cannot help, `alone` where the trouble is this message's, and others may leave. `status`
    is what a webhook's receiver answered.
    """

    def __init__(
        self, sentence: str, *, final: bool = False, alone: bool = False, status: int | None = None
    ) -> None:  # fmt: skip
        super().__init__(sentence)
        self.sentence, self.final, self.alone, self.status = sentence, final, alone, status


def post(to: str, subject: str, body: str, number: str = "") -> None:
    """Give a mail to the server. `number` makes it the same message each time. Raises Undelivered."""
    host = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    # A machine wrote it, so that no machine answers (RFC 3834).
    headers = {"Auto-Submitted": "auto-generated", **({"Message-ID": f"<{number}@{host}>"} if number else {})}
    try:
        EmailMessage(f"Countersign: {subject}", body, to=[to], headers=headers).send()
    except SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        final = bool(codes) and all(500 <= code < 600 for code in codes)
        sentence = f"The mail server refused the address ({', '.join(map(str, codes))})."
        raise Undelivered(sentence, final=final, alone=True) from error
    except SMTPDataError as error:
        raise Undelivered(f"The mail server refused the message ({error.smtp_code}).", alone=True) from error
    except SMTPResponseException as error:
        raise Undelivered(f"The mail server answered with {error.smtp_code}.") from error
    except (SMTPException, OSError) as error:
        raise Undelivered(f"The mail server could not be reached: {type(error).__name__}.") from error
    except ValueError as error:
        raise Undelivered("This is no address that a mail can be written to.", final=True, alone=True) from error
