"""Pages for people, which only `dev` adds to the application: `/`, `/dev/mails` and the links of emails."""
