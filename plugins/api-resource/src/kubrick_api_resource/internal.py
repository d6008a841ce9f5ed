"""The structs of dynamic resources that errors quote whole, as Go shows them (see kubrick_api_core.internal).

Names and order are those of pkg/apis/resource, the internal types.
"""

from kubrick_api_core.internal import NODE_SELECTOR, TOLERATION, WITHIN, Shape

CEL: Shape = {"Expression": ("expression", "")}
SELECTOR: Shape = {"CEL": ("cel", None)}
OPAQUE: Shape = {"Driver": ("driver", ""), "Parameters": ("parameters", None)}
CAPACITY: Shape = {"Requests": ("requests", None)}
EXACT: Shape = {
    "DeviceClassName": ("deviceClassName", ""),
    "Selectors": ("selectors", None),
    "AllocationMode": ("allocationMode", ""),
    "Count": ("count", 0),
    "AdminAccess": ("adminAccess", None),
    "Tolerations": ("tolerations", None),
    "Capacity": ("capacity", None),
}
ALTERNATIVE: Shape = {
    "Name": ("name", ""),
    "DeviceClassName": ("deviceClassName", ""),
    "Selectors": ("selectors", None),
    "AllocationMode": ("allocationMode", ""),
    "Count": ("count", 0),
    "Tolerations": ("tolerations", None),
    "Capacity": ("capacity", None),
}
REQUEST: Shape = {
    "Name": ("name", ""),
    "Exactly": ("exactly", None),
    "FirstAvailable": ("firstAvailable", None),
}
CONSTRAINT: Shape = {
    "Requests": ("requests", None),
    "MatchAttribute": ("matchAttribute", None),
    "DistinctAttribute": ("distinctAttribute", None),
}
CONFIG: Shape = {"Requests": ("requests", None), "Opaque": ("opaque", None)}
DEVICES: Shape = {
    "Requests": ("requests", None),
    "Constraints": ("constraints", None),
    "Config": ("config", None),
}
CLAIM: Shape = {"Devices": ("devices", {"Requests": None, "Constraints": None, "Config": None})}
RESULT: Shape = {
    "Request": ("request", ""),
    "Driver": ("driver", ""),
    "Pool": ("pool", ""),
    "Device": ("device", ""),
    "AdminAccess": ("adminAccess", None),
    "Tolerations": ("tolerations", None),
    "BindingConditions": ("bindingConditions", None),
    "BindingFailureConditions": ("bindingFailureConditions", None),
    "ShareID": ("shareID", None),
    "ConsumedCapacity": ("consumedCapacity", None),
}
ALLOCATED_CONFIG: Shape = {
    "Source": ("source", ""),
    "Requests": ("requests", None),
    "Opaque": ("opaque", None),
}
RESULTS: Shape = {"Results": ("results", None), "Config": ("config", None)}
ALLOCATION: Shape = {
    "Devices": ("devices", {"Results": None, "Config": None}),
    "NodeSelector": ("nodeSelector", None),
    "AllocationTimestamp": ("allocationTimestamp", None),
}
ATTRIBUTE: Shape = {
    "IntValue": ("int", None),
    "BoolValue": ("bool", None),
    "StringValue": ("string", None),
    "VersionValue": ("version", None),
    "IntValues": ("ints", None),
    "BoolValues": ("bools", None),
    "StringValues": ("strings", None),
    "VersionValues": ("versions", None),
}
WITHIN |= {
    id(SELECTOR): {"cel": CEL},
    id(EXACT): {"selectors": SELECTOR, "tolerations": TOLERATION, "capacity": CAPACITY},
    id(ALTERNATIVE): {"selectors": SELECTOR, "tolerations": TOLERATION, "capacity": CAPACITY},
    id(REQUEST): {"exactly": EXACT, "firstAvailable": ALTERNATIVE},
    id(CONFIG): {"opaque": OPAQUE},
    id(DEVICES): {"requests": REQUEST, "constraints": CONSTRAINT, "config": CONFIG},
    id(CLAIM): {"devices": DEVICES},
    id(RESULT): {"tolerations": TOLERATION},
    id(ALLOCATED_CONFIG): {"opaque": OPAQUE},
    id(RESULTS): {"results": RESULT, "config": ALLOCATED_CONFIG},
    id(ALLOCATION): {"devices": RESULTS, "nodeSelector": NODE_SELECTOR},
}
