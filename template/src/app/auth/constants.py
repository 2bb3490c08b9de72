from app.kit.rate_limit import Limit

MIN_PASSWORD_LENGTH = 8
# Longer passwords take longer to hash and are not more secure.
MAX_PASSWORD_LENGTH = 128
ALGORITHM = "HS256"
# The clocks of two servers differ.
LEEWAY_SECONDS = 10
CACHED_TOKENS = 5_000
# Time in which a refresh token may be used again: a response may get lost.
REFRESH_GRACE_SECONDS = 10
SECURITY_EVENT_DAYS = 365
# An account whose address was never verified, and with which nobody has signed in, is deleted.
UNVERIFIED_ACCOUNT_DAYS = 30

SIGN_IN = Limit("sign in", address="30/minute", account="10/minute; 100/day")
REFRESH = Limit("refresh", address="60/minute")
REGISTER = Limit("register", address="20/hour")
CONFIRM = Limit("confirm", address="30/minute")
REQUEST_MAIL = Limit("request mail", address="20/hour")
# Further emails to the same recipient are not sent. The response does not tell.
# One counter for each kind: a client cannot use up the emails that a user waits for.
SEND_REGISTRATION = Limit("send registration", account="5/hour")
SEND_VERIFICATION = Limit("send verification", account="5/hour")
SEND_EMAIL_CHANGE = Limit("send email change", account="5/hour")
SEND_RESET = Limit("send reset", account="5/hour")
# Attempts to enter the current password, for a user who is signed in.
ENTER_PASSWORD = Limit("enter password", account="10/minute; 50/day")
