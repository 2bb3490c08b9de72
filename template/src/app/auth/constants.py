MIN_PASSWORD_LENGTH = 8
# Longer ones only cost time to hash.
MAX_PASSWORD_LENGTH = 128
ALGORITHM = "HS256"
