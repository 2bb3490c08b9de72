from app.kit.rate_limit import Limit

MIN_PASSWORD_LENGTH = 8
# Longer ones only cost time to hash.
MAX_PASSWORD_LENGTH = 128
ALGORITHM = "HS256"

SIGN_IN = Limit("sign in", address="30/minute", account="10/minute")
REFRESH = Limit("refresh", address="60/minute")
REGISTER = Limit("register", address="20/hour")
CONFIRM = Limit("confirm", address="30/minute")
# Each of them sends somebody a mail.
ASK_FOR_MAIL = Limit("ask for mail", address="20/hour", account="5/hour")
