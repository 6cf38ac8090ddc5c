"""What guards an account against being taken over: one-time links, mail addresses, and signing held back."""
