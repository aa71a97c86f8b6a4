//! SASL without I/O: which mechanism to use, and what to say in it. Shared by IMAP and SMTP.
