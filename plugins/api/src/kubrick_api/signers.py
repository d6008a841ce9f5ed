"""Names of signers: example.com/what-it-signs. From pkg/apis/core/validation/names.go."""

from kubrick_api.errors import FieldError, invalid_value, required, too_long
from kubrick_api.validation import SUBDOMAIN_LENGTH, label, subdomain

FORM = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
LONGEST = 571


def is_kubernetes_signer(name: str) -> bool:
    """Whether the name is one of those reserved for Kubernetes itself."""
    return f".{name.partition('/')[0]}".endswith(".kubernetes.io")


def signer_name(name: str, path: str) -> list[FieldError]:
    """What is wrong with a signer's name; of each half, only the first bad part is complained about."""
    if not name:
        return [required(path)]
    parts = name.split("/")
    if len(parts) != 2:
        return [invalid_value(path, name, FORM)]
    domain, tail = parts
    errors = [too_long(path, SUBDOMAIN_LENGTH)] if len(domain) > SUBDOMAIN_LENGTH else []
    for half, rule in ((domain, label), (tail, subdomain)):
        wrong = next(((part, why) for part in half.split(".") if (why := rule(part))), None)
        if wrong is not None:
            errors += [invalid_value(path, half, f'validating label "{wrong[0]}": {text}') for text in wrong[1]]
        if half is domain and "." not in domain:
            short = "should be a domain with at least two segments separated by dots"
            errors.append(invalid_value(path, domain, short))
    if len(name) > LONGEST:
        errors.append(too_long(path, LONGEST))
    return errors
