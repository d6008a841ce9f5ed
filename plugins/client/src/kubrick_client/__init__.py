"""Client, informers, work queue, leader election and event recorder."""
