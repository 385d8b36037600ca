"""The driver of a WhatsApp account that is used as WhatsApp Web uses it. docs/whatsapp-web.md says what that risks."""
