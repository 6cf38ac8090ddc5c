"""Second factors: passkeys (WebAuthn), codes from an app (TOTP) and recovery codes."""
