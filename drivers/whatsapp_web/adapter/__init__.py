"""The library neonize behind the port `drivers.whatsapp_web.account`; nothing else imports it."""
