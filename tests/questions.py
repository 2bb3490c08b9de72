"""Questions for the search of the documentation, and the page that answers each."""

QUESTIONS = {
    "how do users sign in": "api/authentication",
    "forgot my password": "api/authentication",
    "log out of all devices": "api/authentication",
    "too many attempts, locked out": "api/authentication",
    "put it in production": "development/deployment",
    "undo a bad release": "development/deployment",
    "save a copy of the data": "development/deployment",
    "where do I put passwords and keys": "development/deployment",
    "add more servers": "development/scaling",
    "how fast is it": "development/scaling",
    "hosting on a kubernetes cluster": "development/scaling",
    "change environment variables": "development/configuration",
    "start the project on my laptop": "getting-started/",
    "what tools must I install first": "getting-started/installation",
    "next page of results": "api/overview",
    "what does a failure look like": "api/overview",
    "find a call in the log files": "api/overview",
    "write a unit test": "development/testing",
    "how to add a new kind of resource": "development/contributing",
    "library to call it from a web page": "examples/basic",
}
