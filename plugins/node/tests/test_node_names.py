"""What pods find in /etc/hosts and resolv.conf."""

from kubrick_node.hosts import hosts_file, kernel_hostname, pod_hostname
from kubrick_node.resolv import parse_resolv_conf, resolve
from kubrick_node.runtime import DNS

HOST = DNS(("192.168.0.1",), ("lan",), ("edns0",))


def make_pod(**spec):
    return {"metadata": {"name": "web", "namespace": "team", "uid": "u"}, "spec": spec}


def test_the_hosts_file_names_the_pod_and_its_aliases():
    pod = make_pod(subdomain="db", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    name, domain = pod_hostname(pod, "cluster.local")
    text = hosts_file(pod, ["10.0.0.2"], name, domain)
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.2\tweb.db.team.svc.cluster.local\tweb\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")


def test_a_pod_in_the_hosts_network_has_the_hosts_names():
    pod = make_pod(hostNetwork=True)
    assert pod_hostname(pod, "cluster.local", "node-1") == ("node-1", "")
    text = hosts_file(pod, [], "node-1", "", "127.0.0.1 me\n")
    assert text == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n"


def test_host_names_are_cut_and_may_be_whole_for_the_kernel():
    pod = make_pod(hostname="x" * 62 + "-yz", subdomain="db", setHostnameAsFQDN=True)
    name, domain = pod_hostname(pod, "cluster.local")
    assert name == "x" * 62
    assert kernel_hostname(pod, name, domain) == f"{name}.db.team.svc.cluster.local"


def test_the_clusters_dns_comes_with_its_search_path():
    made = resolve(make_pod(dnsPolicy="ClusterFirst"), HOST, ["10.96.0.10"], "cluster.local").dns
    assert made.servers == ("10.96.0.10",)
    assert made.searches == ("team.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan")
    assert made.options == ("ndots:5",)


def test_the_host_network_has_the_hosts_dns_unless_asked_otherwise():
    dns = ["10.96.0.10"]
    assert resolve(make_pod(dnsPolicy="ClusterFirst", hostNetwork=True), HOST, dns, "c").dns == HOST
    both = resolve(make_pod(dnsPolicy="ClusterFirstWithHostNet", hostNetwork=True), HOST, dns, "c").dns
    assert both.servers == ("10.96.0.10",)


def test_without_cluster_dns_the_pod_is_warned():
    made = resolve(make_pod(dnsPolicy="ClusterFirst"), HOST, [], "cluster.local")
    assert made.dns == HOST
    assert made.warnings[0][0] == "MissingClusterDNS"
    assert 'pod: "web_team(u)". kubelet does not have ClusterDNS IP configured' in made.warnings[0][1]


def test_the_pods_own_config_is_added_and_replaces_options():
    config = {
        "nameservers": ["1.1.1.1", "10.96.0.10"],
        "searches": ["mine"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
    }
    made = resolve(make_pod(dnsPolicy="ClusterFirst", dnsConfig=config), HOST, ["10.96.0.10"], "c").dns
    assert made.servers == ("10.96.0.10", "1.1.1.1")
    assert made.searches[-1] == "mine"
    assert made.options == ("ndots:2", "rotate")
    alone = resolve(make_pod(dnsPolicy="None", dnsConfig=config), HOST, ["10.96.0.10"], "c").dns
    assert alone == DNS(("1.1.1.1", "10.96.0.10"), ("mine",), ("ndots:2", "rotate"))


def test_what_resolv_conf_has_no_room_for_is_left_out_and_said():
    config = {"nameservers": [f"1.1.1.{n}" for n in range(5)], "searches": [f"s{n}" for n in range(40)]}
    made = resolve(make_pod(dnsPolicy="None", dnsConfig=config), HOST, [], "c")
    assert (len(made.dns.servers), len(made.dns.searches)) == (3, 32)
    assert [reason for reason, _ in made.warnings] == ["DNSConfigForming", "DNSConfigForming"]


def test_the_machines_resolv_conf_is_read():
    text = "# made by hand\nnameserver 1.1.1.1\nsearch old\nsearch lan. home\noptions ndots:2 rotate\n;x\n"
    assert parse_resolv_conf(text) == DNS(("1.1.1.1",), ("lan", "home"), ("ndots:2", "rotate"))
