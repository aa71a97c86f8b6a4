//! What a mail server's refusal means: its class.
